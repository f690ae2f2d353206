// SPDX-License-Identifier: Apache-2.0

package coap

import (
	"context"
	"crypto/aes"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/openalink/iot/alink"
	"github.com/openalink/iot/auth"
	"github.com/openalink/iot/hal"
	"github.com/openalink/iot/internal/single"
)

// firstSeq is the number of the first request after a login without DTLS.
const firstSeq = 1

// login answers /auth.
func (s *Server) login(ctx context.Context, p *peer, r *request) response {
	if r.accept >= 0 && r.accept != formatJSON && r.accept != formatCBOR {
		return failed(CodeNotAcceptable)
	}
	if r.format >= 0 && r.format != formatJSON && r.format != formatCBOR {
		return failed(CodeUnsupportedFormat)
	}
	proof, seq, ok := readProof(r.payload, r.format == formatCBOR)
	symmetric := seq && !p.secure
	if !ok || !symmetric && !p.secure && !s.cfg.Cleartext {
		return failed(CodeBadRequest)
	}
	if p.secure {
		proof.RemoteAddr = p.remote()
	}
	g, err := s.cfg.Platform.IssueToken(ctx, &proof, auth.UseRequests)
	if err != nil {
		return failed(loginCode(err))
	}
	var a granted
	if symmetric {
		if a, err = s.symmetric(ctx, &proof, g.Token); err != nil {
			return failed(loginCode(err))
		}
	} else {
		a.token = g.Token.Reveal()
	}
	p.known.Store(true)
	if r.accept == formatCBOR || r.accept < 0 && r.format == formatCBOR {
		return response{CodeContent, formatCBOR, -1, a.cbor()}
	}
	return response{CodeContent, formatJSON, -1, a.json()}
}

// readProof reads the body of a login; nothing of it is kept. Signed is everything
// but version, sign, resources and signmethod (wire facts section 7.2). seq tells
// that the device wants a session without DTLS. A timestamp is signed and not
// looked at.
func readProof(body []byte, isCBOR bool) (p hal.Proof, seq, ok bool) {
	var signed alink.Signed
	if isCBOR {
		signed, ok = parseCBOR(body)
	} else {
		var err error
		signed, err = alink.ParseSigned(single.TrimNUL(body))
		ok = err == nil
	}
	if !ok || signed.Sign == "" {
		return p, false, false
	}
	p = hal.Proof{Method: signed.Method, Sign: signed.Sign}
	client := ""
	for _, param := range signed.Params {
		switch strings.ToLower(param.Key) {
		case "version", "resources":
			continue
		case "clientid":
			client = param.Value
		case "productkey":
			p.Device.Product = param.Value
		case "devicename":
			p.Device.Name = param.Value
		case "seq":
			seq = param.Value != ""
		}
		p.Params = append(p.Params, param)
	}
	ok = client != "" && utf8.RuneCountInString(client) <= auth.MaxClientID && p.Device.Validate() == nil
	return p, seq, ok
}

// symmetric makes a session without DTLS. What the device gets as its token is
// only the session's name.
func (s *Server) symmetric(ctx context.Context, p *hal.Proof, token auth.Secret) (granted, error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	a := granted{token: rand.Text(), random: hex.EncodeToString(random[:])}
	key, err := s.cfg.Platform.CoAPKey(ctx, p.Device, a.random)
	if err != nil {
		return a, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return a, err
	}
	s.sessions.add(&session{name: a.token, token: token, block: block})
	return a, nil
}

// granted is the answer to a login.
type granted struct {
	token  string
	random string // empty over DTLS
}

// json writes the answer by hand: nothing in it is escaped, and devices read it
// into small buffers.
func (a granted) json() []byte {
	b := make([]byte, 0, 192)
	b = append(b, '{')
	if a.random != "" {
		b = append(append(b, `"random":"`...), a.random...)
		b = strconv.AppendInt(append(b, `","seqOffset":`...), firstSeq, 10)
		b = append(b, ',')
	}
	b = append(append(b, `"token":"`...), a.token...)
	return append(b, `"}`...)
}

func (a granted) cbor() []byte {
	b := make([]byte, 0, 192)
	if a.random == "" {
		b = appendCBORHead(b, cborMap, 1)
	} else {
		b = appendCBORHead(b, cborMap, 3)
		b = appendCBORText(appendCBORText(b, "random"), a.random)
		b = appendCBORHead(appendCBORText(b, "seqOffset"), cborUint, firstSeq)
	}
	return appendCBORText(appendCBORText(b, "token"), a.token)
}
