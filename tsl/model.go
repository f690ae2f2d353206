// SPDX-License-Identifier: Apache-2.0

package tsl

// Model is a TSL document: what the devices of a product can do. It is plain
// data; Parse makes one from JSON, Compile makes it work.
type Model struct {
	Schema     string     `json:"schema,omitempty"`
	Link       string     `json:"link,omitempty"`
	Profile    Profile    `json:"profile"`
	Properties []Property `json:"properties"`
	Events     []Event    `json:"events"`
	Services   []Service  `json:"services"`

	FunctionBlockID   string `json:"functionBlockId,omitempty"`
	FunctionBlockName string `json:"functionBlockName,omitempty"`
}

// Profile says whose model it is.
type Profile struct {
	ProductKey string `json:"productKey"`
	DeviceName string `json:"deviceName,omitempty"`
	Version    string `json:"version,omitempty"`
}

// Access is what applications may do with a property.
type Access string

// The access modes.
const (
	ReadOnly  Access = "r"
	ReadWrite Access = "rw"
	WriteOnly Access = "w"
)

// Property is a value of a device.
type Property struct {
	Identifier string   `json:"identifier"`
	Name       string   `json:"name,omitempty"`
	Desc       string   `json:"desc,omitempty"`
	Access     Access   `json:"accessMode"`
	Required   bool     `json:"required,omitempty"`
	Data       DataType `json:"dataType"`
}

// Param is a named value of an event, a service or a struct.
type Param struct {
	Identifier string   `json:"identifier"`
	Name       string   `json:"name,omitempty"`
	Data       DataType `json:"dataType"`
}

// Level is how serious an event is.
type Level string

// The levels of events.
const (
	Info  Level = "info"
	Alert Level = "alert"
	Fault Level = "error"
)

// Event is something that happens to a device.
type Event struct {
	Identifier string  `json:"identifier"`
	Name       string  `json:"name,omitempty"`
	Desc       string  `json:"desc,omitempty"`
	Type       Level   `json:"type"`
	Required   bool    `json:"required,omitempty"`
	Method     string  `json:"method,omitempty"`
	Output     []Param `json:"outputData"`
}

// CallType is whether a service answers at once.
type CallType string

// The call types.
const (
	Sync  CallType = "sync"
	Async CallType = "async"
)

// Service is something a device can be asked to do.
type Service struct {
	Identifier string   `json:"identifier"`
	Name       string   `json:"name,omitempty"`
	Desc       string   `json:"desc,omitempty"`
	Required   bool     `json:"required,omitempty"`
	Call       CallType `json:"callType"`
	Method     string   `json:"method,omitempty"`
	Input      Inputs   `json:"inputData"`
	Output     []Param  `json:"outputData"`
}

// Inputs are the arguments of a service. The service "get" is special: its input
// is a list of property identifiers, kept in Names.
type Inputs struct {
	Params []Param
	Names  []string
}

// Type is the kind of a value.
type Type string

// The types of values.
const (
	Int    Type = "int"
	Float  Type = "float"
	Double Type = "double"
	Bool   Type = "bool"
	Enum   Type = "enum"
	Text   Type = "text"
	Date   Type = "date"
	Array  Type = "array"
	Struct Type = "struct"
)

// DataType is a type and what its values are held to. Of the fields behind Type
// those apply that the type names.
type DataType struct {
	Type Type

	// Int, Float, Double. Bounds as written in the document; empty is none.
	Min, Max, Step Number
	Unit, UnitName string
	// Bool, Enum: the words for the numbers, in the order of the document.
	Words []Word
	// Text: the most bytes; 0 is MaxText.
	Length int
	// Array: the most elements, and what they are.
	Size int
	Item *DataType
	// Struct.
	Members []Param
}

// Word names a value of a bool or enum.
type Word struct {
	Value int
	Text  string
}

// Number is a decimal as a document has it, in quotes or without. It keeps its
// text, so that a document survives being read and written.
type Number string

// The limits of a model (wire facts sections 17 and 22).
const (
	MaxFeatures   = 200  // properties, events and services together
	MaxMembers    = 10   // of a struct
	MaxWords      = 25   // of an enum
	MaxText       = 2048 // bytes
	MaxElements   = 128  // of an array
	MaxArguments  = 20   // of a service, in and out each
	MaxOutputs    = 50   // of an event
	MaxIdentifier = 50   // characters, that of a function block not counted
	MaxBlocks     = 5    // function blocks of a model; each has its own MaxFeatures
)
