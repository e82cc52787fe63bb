package live

import (
	"fmt"
	"strconv"
	"strings"
)

// maxShown bounds the text of a cell's last expression.
const maxShown = 1 << 15

// Show passes on the values of a cell's last expression. Nothing is shown for nil alone.
func Show(values ...any) {
	texts := make([]string, len(values))
	empty := true
	for i, v := range values {
		empty = empty && v == nil
		texts[i] = text(v)
	}
	if empty {
		return
	}
	s := strings.Join(texts, ", ")
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + fmt.Sprintf("... (%d bytes more)", len(s)-maxShown)
	}
	sendJSON(kindValue, map[string]any{"text/plain": s})
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "<nil>"
	case string:
		return strconv.Quote(v)
	case error, fmt.Stringer:
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%+v", v)
}
