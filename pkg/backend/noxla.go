//go:build !linux || !(amd64 || arm64) || noxla

package backend

const xlaBuilt = false
