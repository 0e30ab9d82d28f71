package config

import "testing"

func TestMaskURL(t *testing.T) {
	for in, want := range map[string]string{
		"redis://h:1/0":             "redis://h:1/0",
		"redis://:hush@h:1/0":       "redis://:********@h:1/0",
		"redis://u:hu@sh@h1:1,h2:2": "redis://u:********@h1:1,h2:2",
		"redis://u:hu/s?h@h:1":      "redis://u:********@h:1",
		"u:hush@h:1":                "u:********@h:1",
		"redis://h?master_name=m&sentinel_password=hush": "redis://h?master_name=m&sentinel_password=********",
		"unix://u:hush@/run/r.sock?db=1":                 "unix://u:********@/run/r.sock?db=1",
		"://%zz:hush@":                                   "://%zz:********@",
	} {
		if got := MaskURL(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"redis://u:x@h:1/0": "h:1", "redis://h1:1,h2:2?cluster=true": "h1:1,h2:2", "unix://u:x@/run/r.sock?db=1": "/run/r.sock", "unix:///run/r.sock": "/run/r.sock",
		"redis://": "localhost", "redis://u:x@:6380/0": "localhost:6380", "": "",
	} {
		if got := RedisAt(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
