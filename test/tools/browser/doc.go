// Package browser has the tests of the web page of `pinion serve`, in a real Chromium.
//
// It is a module of its own, so that the product does not depend on what drives the browser.
package browser
