// Command host is the process that holds a notebook's live program.
package main

import "gradbook/live"

func main() { live.Main() }
