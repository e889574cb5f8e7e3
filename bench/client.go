//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// client asks one thing again and again.
type client interface {
	// do asks with this token and returns the status of the answer, which it
	// has read to the end.
	do(token string) (status int, err error)
	close()
}

// request is what is sent: the same bytes each time but for the token.
type request struct {
	method, path string
	header       []string // Name: value
	body         string
	// token is where the token goes: into the header of this name, or into
	// the path in place of {token} when it is "".
	token string
}

// placeholder is as long as what takes its place.
const placeholder = "00000000-0000-0000-0000-000000000000"

// raw spells r for HTTP/1.1, and tells where in it the token goes; -1 for
// nowhere.
func (r *request) raw(host string) (text []byte, at int) {
	path := r.path
	if r.token == "" {
		path = string(bytes.ReplaceAll([]byte(path), []byte("{token}"), []byte(placeholder)))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, path, host)
	if r.token != "" {
		fmt.Fprintf(&b, "%s: %s\r\n", r.token, placeholder)
	}
	for _, h := range r.header {
		fmt.Fprintf(&b, "%s\r\n", h)
	}
	if r.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n" + r.body)
	return b.Bytes(), bytes.Index(b.Bytes(), []byte(placeholder))
}

// rawClient speaks HTTP/1.1 on one connection with as little work as that
// takes: client, proxy and upstream share the machine, and what the client
// needs makes every proxy look more like the others.
type rawClient struct {
	addr string
	tls  *tls.Config
	head bool
	text []byte
	at   int
	conn net.Conn
	in   *bufio.Reader
}

func newRawClient(addr string, r *request, cfg *tls.Config) *rawClient {
	text, at := r.raw(addr)
	return &rawClient{addr: addr, tls: cfg, head: r.method == http.MethodHead, text: text, at: at, in: bufio.NewReaderSize(nil, 8<<10)}
}

// patience is how long a client waits for an answer before it gives up.
const patience = 30 * time.Second

func (c *rawClient) dial() error {
	d := net.Dialer{Timeout: patience}
	conn, err := d.Dial("tcp", c.addr)
	if err != nil {
		return err
	}
	if c.tls != nil {
		conn = tls.Client(conn, c.tls)
	}
	c.conn = conn
	c.in.Reset(conn)
	return nil
}

func (c *rawClient) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *rawClient) do(token string) (int, error) {
	if c.at >= 0 && token != "" {
		copy(c.text[c.at:c.at+len(placeholder)], token)
	}
	fresh := c.conn == nil
	status, err := c.try()
	if err != nil && !fresh {
		// A server may close an idle connection at any time (RFC 9112 §9.3.1).
		status, err = c.try()
	}
	return status, err
}

func (c *rawClient) try() (int, error) {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return 0, err
		}
		_ = c.conn.SetDeadline(time.Now().Add(10 * patience))
	}
	_, err := c.conn.Write(c.text)
	if err != nil {
		c.close()
		return 0, err
	}
	status, keep, err := readResponse(c.in, c.head)
	if err != nil || !keep {
		c.close()
	}
	return status, err
}

var errResponse = errors.New("this is no HTTP/1.1 response")

// readResponse reads a response to its end and tells whether the connection
// can be used again. It allocates nothing for what servers usually send.
func readResponse(in *bufio.Reader, head bool) (status int, keep bool, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, false, errResponse
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, false, errResponse
	}
	keep = true
	length, chunked := -1, false
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, errResponse
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			keep = !bytes.EqualFold(value, []byte("close"))
		}
	}
	switch {
	case head || status == http.StatusNoContent || status == http.StatusNotModified:
		return status, keep, nil
	case chunked:
		return status, keep, discardChunks(in)
	case length < 0: // until the connection is closed
		_, err = io.Copy(io.Discard, in)
		return status, false, err
	}
	_, err = in.Discard(length)
	return status, keep, err
}

func discardChunks(in *bufio.Reader) error {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(";"))
		n, err := strconv.ParseUint(string(size), 16, 31)
		if err != nil {
			return errResponse
		}
		if n == 0 {
			break
		}
		if _, err := in.Discard(int(n) + 2); err != nil {
			return err
		}
	}
	for { // trailers
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
	}
}

// h2Client speaks HTTP/2 over one connection that all clients of a transport
// share.
type h2Client struct {
	transport *http.Transport
	url       string
	r         *request
}

func (c *h2Client) do(token string) (int, error) {
	req, err := http.NewRequest(c.r.method, c.url, nil) //nolint:noctx // the transport's timeouts bound it
	if err != nil {
		return 0, err
	}
	req.Header[c.r.token] = []string{token}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.ProtoMajor != 2 {
		return 0, fmt.Errorf("answered in %s", resp.Proto)
	}
	return resp.StatusCode, nil
}

func (c *h2Client) close() { c.transport.CloseIdleConnections() }
