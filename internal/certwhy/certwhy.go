// Package certwhy says in plain words why a TLS handshake failed.
package certwhy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Problem says which certificate a TLS handshake failed for, and why; empty for errors that are of no certificate.
func Problem(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var wrongName x509.HostnameError
	var notTLS tls.RecordHeaderError
	var refused *net.OpError
	var chain *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown):
		own := unknown.Cert // or that of an authority that the server sent with its own
		if errors.As(err, &chain) && len(chain.UnverifiedCertificates) > 0 {
			own = chain.UnverifiedCertificates[0]
		}
		return "its certificate" + named(own) + " is signed by " + issuer(own) + ", which is not trusted"
	case errors.As(err, &wrongName):
		return fmt.Sprintf("its certificate%s is not for %s but for %s", named(wrongName.Certificate), wrongName.Host, names(wrongName.Certificate))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if c := invalid.Cert; time.Now().Before(c.NotBefore) {
			return fmt.Sprintf("its certificate%s is not valid before %s", named(c), c.NotBefore.UTC().Format(time.RFC3339))
		}
		return fmt.Sprintf("its certificate%s ended on %s", named(invalid.Cert), invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(err, &invalid):
		return "its certificate" + named(invalid.Cert) + " cannot be used"
	case errors.As(err, &notTLS):
		return "it does not speak TLS"
	case errors.As(err, &refused) && refused.Op == "remote error" && strings.Contains(refused.Err.Error(), "certificate"): // alerts have no type
		return "it refuses the client certificate that it was sent, or that it was sent none"
	}
	return ""
}

// issuer names who signed a certificate.
func issuer(c *x509.Certificate) string {
	if c == nil {
		return "an authority"
	}
	if c.Issuer.String() == c.Subject.String() {
		return "itself"
	}
	return fmt.Sprintf("%.100q", c.Issuer.String())
}

func named(c *x509.Certificate) string {
	if c == nil || c.Subject.String() == "" {
		return ""
	}
	return fmt.Sprintf(" %.100q", c.Subject.String())
}

// names lists what a certificate is for, the first few.
func names(c *x509.Certificate) string {
	list := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	switch {
	case len(list) == 0:
		return "no name at all"
	case len(list) > 5:
		list = append(list[:5], "others")
	}
	return fmt.Sprintf("%.200s", strings.Join(list, ", "))
}
