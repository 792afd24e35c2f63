// What a handshake with a server agrees on: HOST:PORT CA CERT KEY. One line: the version and the key exchange's group.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 5 {
		fail("HOST:PORT CA CERT KEY")
	}
	pair, err := tls.LoadX509KeyPair(os.Args[3], os.Args[4])
	if err != nil {
		fail(err)
	}
	ca, err := os.ReadFile(os.Args[2])
	if err != nil {
		fail(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	c, err := tls.Dial("tcp", os.Args[1], &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "localhost"})
	if err != nil {
		fail(err)
	}
	defer c.Close()
	state := c.ConnectionState()
	fmt.Println(tls.VersionName(state.Version), state.CurveID)
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}
