package medispatcher

// Request is the request of an attempt, for people to look at: what is secret in it is masked.
type Request struct {
	URL     string        `json:"url" doc:"Without userinfo"`
	Headers []HeaderField `json:"headers" doc:"Sorted by name. Host and Content-Length are left out"`
	Masked  bool          `json:"masked,omitempty" doc:"Values of headers that carry credentials are shown as ********"`
	Body    []byte        `json:"-"`
}

// HeaderField is one field of a header.
type HeaderField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SecretHeader reports whether only the receiver of a header of the subscription may see its value.
func (s *Subscription) SecretHeader(name string) bool { return isSecretHeader(name, s.SecretHeaders) }
