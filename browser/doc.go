// Package browser has tests that use the web pages of a dispatcher in Chromium, as an operator does. They run the
// program and import nothing of it.
package browser
