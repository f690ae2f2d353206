module github.com/openalink/iot

go 1.26
