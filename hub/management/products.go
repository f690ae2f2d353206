// SPDX-License-Identifier: Apache-2.0

package management

import (
	"net/http"
	"time"

	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hub"
	"github.com/openalink/iot/topic"
)

// Class is a topic class as JSON has it.
type Class struct {
	Suffix    string `json:"suffix"`
	Operation string `json:"operation"` // pub, sub or all
}

// Product is a product as JSON has it. Answers carry the secret only where it is
// made.
type Product struct {
	ProductKey      string            `json:"productKey"`
	ProductSecret   string            `json:"productSecret,omitempty"`
	Name            string            `json:"name,omitempty"`
	NodeType        string            `json:"nodeType,omitempty"` // device or gateway
	DynamicRegister bool              `json:"dynamicRegister"`
	X509            bool              `json:"x509,omitempty"` // devices log in with certificates
	Topics          []Class           `json:"topics,omitempty"`
	Tags            map[string]string `json:"tags,omitempty"`
	Validation      hub.Validation    `json:"validation,omitempty"` // strict, reject or off
	DataFormat      hub.DataFormat    `json:"dataFormat,omitempty"` // json or raw
	Script          string            `json:"script,omitempty"`     // JavaScript of a raw product
	Created         time.Time         `json:"created,omitzero"`
}

// ParseClasses reads topic classes.
func ParseClasses(list []Class) ([]topic.Class, error) {
	if list == nil {
		return nil, nil
	}
	out := make([]topic.Class, 0, len(list))
	for i, c := range list {
		op, ok := map[string]topic.Operation{"pub": topic.Pub, "sub": topic.Sub, "all": topic.All}[c.Operation]
		if !ok {
			return nil, badRequest("topics[%d].operation is %q; pub, sub and all are known", i, c.Operation)
		}
		out = append(out, topic.Class{Suffix: c.Suffix, Operation: op})
	}
	return out, nil
}

// ForHub turns the JSON form into the hub's.
func (p Product) ForHub() (hub.Product, error) {
	classes, err := ParseClasses(p.Topics)
	if err != nil {
		return hub.Product{}, err
	}
	switch p.NodeType {
	case "", "device", "gateway":
	default:
		return hub.Product{}, badRequest("nodeType is %q; device and gateway are known", p.NodeType)
	}
	return hub.Product{
		Key: p.ProductKey, Secret: auth.NewSecret(p.ProductSecret), Name: p.Name, Gateway: p.NodeType == "gateway",
		DynamicRegister: p.DynamicRegister, X509: p.X509, Topics: classes, Tags: p.Tags,
		Validation: p.Validation, DataFormat: p.DataFormat, Script: p.Script,
	}, nil
}

func productJSON(p hub.Product, withSecret bool) Product {
	out := Product{
		ProductKey: p.Key, Name: p.Name, NodeType: "device", DynamicRegister: p.DynamicRegister, X509: p.X509,
		Tags: p.Tags, Created: p.Created, Validation: p.Validation, DataFormat: p.DataFormat, Script: p.Script,
	}
	if p.Gateway {
		out.NodeType = "gateway"
	}
	if withSecret {
		out.ProductSecret = p.Secret.Reveal()
	}
	for _, c := range p.Topics {
		out.Topics = append(out.Topics, Class{c.Suffix, c.Operation.String()})
	}
	return out
}

func (a *api) createProduct(r *http.Request) (any, error) {
	var in Product
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	want, err := in.ForHub()
	if err != nil {
		return nil, err
	}
	p, err := a.hub.CreateProduct(r.Context(), want)
	if err != nil {
		return nil, err
	}
	return productJSON(p, true), nil
}

func (a *api) listProducts(r *http.Request) (any, error) {
	all, err := a.hub.Products(r.Context())
	if err != nil {
		return nil, err
	}
	out := page[Product]{Items: []Product{}}
	for _, p := range all {
		out.Items = append(out.Items, productJSON(p, false))
	}
	return out, nil
}

func (a *api) getProduct(r *http.Request) (any, error) {
	p, err := a.hub.Product(r.Context(), r.PathValue("pk"))
	if err != nil {
		return nil, err
	}
	return productJSON(p, false), nil
}

// productPatch changes what is present.
type productPatch struct {
	Name            *string            `json:"name"`
	DynamicRegister *bool              `json:"dynamicRegister"`
	X509            *bool              `json:"x509"`
	Topics          *[]Class           `json:"topics"`
	Tags            *map[string]string `json:"tags"`
	Validation      *hub.Validation    `json:"validation"`
	DataFormat      *hub.DataFormat    `json:"dataFormat"`
	Script          *string            `json:"script"`
}

func (a *api) updateProduct(r *http.Request) (any, error) {
	var in productPatch
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	var classes []topic.Class
	if in.Topics != nil {
		var err error
		if classes, err = ParseClasses(*in.Topics); err != nil {
			return nil, err
		}
	}
	p, err := a.hub.UpdateProduct(r.Context(), r.PathValue("pk"), func(p *hub.Product) {
		if in.Name != nil {
			p.Name = *in.Name
		}
		if in.DynamicRegister != nil {
			p.DynamicRegister = *in.DynamicRegister
		}
		if in.X509 != nil {
			p.X509 = *in.X509
		}
		if in.Topics != nil {
			p.Topics = classes
		}
		if in.Tags != nil {
			p.Tags = *in.Tags
		}
		in.format(p)
	})
	if err != nil {
		return nil, err
	}
	return productJSON(p, false), nil
}

// format changes how devices are understood.
func (in *productPatch) format(p *hub.Product) {
	if in.Validation != nil {
		p.Validation = *in.Validation
	}
	if in.DataFormat != nil {
		p.DataFormat = *in.DataFormat
	}
	if in.Script != nil {
		p.Script = *in.Script
	}
}

func (a *api) deleteProduct(r *http.Request) (any, error) {
	return struct{}{}, a.hub.DeleteProduct(r.Context(), r.PathValue("pk"))
}
