// Package browser drives the web pages of a dispatcher in Chromium, as an operator does.
package browser
