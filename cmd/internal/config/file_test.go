package config

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzEnvLine: what EnvLine writes, the reader reads as it was, and so what stands behind it.
func FuzzEnvLine(f *testing.F) {
	for _, v := range []string{
		"", "plain", "it's", `"`, `"it's"`, `'`, `\`, `\'`, `a\`, `"a\\`, "$HOME", `\$A`, `${QUOTE}`, "a #b", " a ", "#", "a\nb\r\nc\r", `\n`, `\\n`, "=", "\u00a0", "é", "\xff", "\t",
	} {
		f.Add(v)
	}
	file := filepath.Join(f.TempDir(), "env")
	f.Fuzz(func(t *testing.T, value string) {
		text := EnvLine("MEDIS_A", value) + EnvLine("MEDIS_B", "'"+value)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readEnvFile(file)
		if len(text) > maxEnvFile {
			return
		}
		if err != nil || got["MEDIS_A"] != value || got["MEDIS_B"] != "'"+value {
			t.Errorf("%q was written as %q and read as %q, %v", value, text, got, err)
		}
	})
}
