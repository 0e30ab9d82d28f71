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

// Trial is one attempt that was made to try a subscription. It counts nowhere.
type Trial struct {
	Request   Request       `json:"request"`
	Body      string        `json:"body" doc:"What was sent, as text; of more than 64 KiB the start"`
	BodyBytes int           `json:"body_bytes" doc:"How long the whole of it is"`
	Accepted  bool          `json:"accepted" doc:"A dispatcher would count the message as delivered"`
	Status    int           `json:"status,omitempty" doc:"Of the answer; absent where there was none"`
	TookMS    float64       `json:"took_ms" doc:"Until the answer was read, or the attempt had failed"`
	Headers   []HeaderField `json:"headers,omitempty" doc:"Of the answer. Credentials are masked, also those of the request that it repeats"`
	Answer    string        `json:"answer,omitempty" doc:"The answer's body as text; of more than 64 KiB the start"`
	Problem   string        `json:"problem,omitempty" doc:"Why it failed, with the phase if its time was over"`
	Filtered  bool          `json:"filtered,omitempty" doc:"The subscription's filter does not match the message: published, it would not have come here"`
}

// TrialText bounds the body and the answer that a Trial shows, in bytes.
const TrialText = 64 << 10

// ShowBody fills in the body from the request.
func (t *Trial) ShowBody() {
	t.BodyBytes = len(t.Request.Body)
	t.Body = CutText(string(t.Request.Body[:min(t.BodyBytes, TrialText+1)]), TrialText)
}
