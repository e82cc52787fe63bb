package live

import "gradbook/live/view"

// Show passes on the values of a cell's last expression, in all the views that they offer. Nothing is shown for nil alone.
func Show(values ...any) {
	if b := view.Values(values...); b != nil {
		sendJSON(kindValue, b)
	}
}
