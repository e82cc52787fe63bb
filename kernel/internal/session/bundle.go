package session

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// Jupyter returns the output's MIME bundle and its metadata in the form that Jupyter's messages and files have: text as string, bytes
// in base64, and all else, and text that is a JSON document by its type, as json.RawMessage. What JSON cannot hold is printed.
func (o Output) Jupyter() (data, metadata map[string]any) {
	data, metadata = make(map[string]any, len(o.Data)), make(map[string]any, len(o.Metadata))
	for mime, value := range o.Data {
		switch v := value.(type) {
		case []byte:
			switch {
			case JSONType(mime) && json.Valid(v):
				data[mime] = json.RawMessage(v)
			case TextType(mime):
				data[mime] = string(v)
			default:
				data[mime] = base64.StdEncoding.EncodeToString(v)
			}
		case string:
			if JSONType(mime) && json.Valid([]byte(v)) {
				data[mime] = json.RawMessage(v)
			} else {
				data[mime] = v
			}
		default:
			data[mime] = plain(v)
		}
	}
	for name, v := range o.Metadata {
		metadata[name] = plain(v)
	}
	return data, metadata
}

// plain is v as JSON; what JSON cannot hold is printed.
func plain(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return json.RawMessage(text)
}

// TextType reports whether Jupyter keeps values of a MIME type as text.
func TextType(mime string) bool {
	return strings.HasPrefix(mime, "text/") || mime == "application/javascript" || mime == "image/svg+xml"
}

// JSONType reports whether Jupyter keeps values of a MIME type as JSON.
func JSONType(mime string) bool {
	return mime == "application/json" || strings.HasPrefix(mime, "application/") && strings.HasSuffix(mime, "+json")
}
