package main

import (
	"encoding/json"
	"io"
)

// bom is a CycloneDX document, https://cyclonedx.org/docs/1.5/json/. It has no
// serial number and no time, so that one program has one document.
type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string          `json:"type"`
	Ref        string          `json:"bom-ref"`
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	PURL       string          `json:"purl,omitempty"`
	Licenses   []licenseChoice `json:"licenses,omitempty"`
	Properties []property      `json:"properties,omitempty"`
}

type licenseChoice struct {
	License license `json:"license"`
}

type license struct {
	ID string `json:"id"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func writeSBOM(out io.Writer, p program, version, commit string) error {
	document := bom{Format: "CycloneDX", Spec: "1.5", Version: 1}
	document.Metadata.Component = component{
		Type: "application", Ref: p.name, Name: p.name, Version: version,
		Licenses: []licenseChoice{{license{"Apache-2.0"}}}, Properties: []property{{"commit", commit}},
	}
	for _, m := range p.modules {
		document.Components = append(document.Components, describe(m))
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(document)
}

func describe(m module) component {
	url := "pkg:golang/" + m.path + "@" + m.version
	c := component{Type: "library", Ref: url, Name: m.path, Version: m.version, PURL: url}
	for _, id := range identifiers(m) {
		c.Licenses = append(c.Licenses, licenseChoice{license{id}})
	}
	if m.sum != "" {
		c.Properties = []property{{"go.sum", m.sum}}
	}
	return c
}
