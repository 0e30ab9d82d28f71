package http1

import "strings"

// Classes of bytes, as bits of byteClass.
const (
	tokenByte = 1 << iota // header name, RFC 9110 section 5.6.2
	hostByte              // host and port, RFC 3986 section 3.2
	valueByte             // header value: no control character but tab
	uriByte               // request target: no space, no control character
)

// byteClass holds the classes of each byte.
var byteClass = func() (class [256]byte) {
	const alnum = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for b := range class {
		c := byte(b)
		if strings.IndexByte(alnum+"!#$%&'*+-.^_`|~", c) >= 0 {
			class[b] |= tokenByte
		}
		if strings.IndexByte(alnum+"!$%&'()*+,-.:;=[]_~", c) >= 0 {
			class[b] |= hostByte
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			class[b] |= valueByte
		}
		if c > ' ' && c != 0x7f {
			class[b] |= uriByte
		}
	}
	return class
}()

// all tells whether all bytes of s are of the class.
func all[T string | []byte](s T, class byte) bool {
	for i := range len(s) {
		if byteClass[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// isToken tells whether s is a token of HTTP, such as a header name.
func isToken(s string) bool { return s != "" && all(s, tokenByte) }
