// forward opens a port on the host for an address inside the node's network namespace:
//
//	forward LISTEN TARGET DNS ADDRESS-FILE 3</proc/<host>/ns/net
//
// It runs inside the node's namespace and enters the host's (descriptor 3) only to listen. The cluster's DNS resolves TARGET at
// each connection, so TARGET may be a Service that comes, goes or changes its address. If LISTEN's port is taken, it uses the
// next free port. It writes the address in use to ADDRESS-FILE.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	hostNamespace = 3 // inherited file descriptor
	portsToTry    = 100
)

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: forward LISTEN TARGET DNS ADDRESS-FILE")
	}
	listen, target, dns, addressFile := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	listener, err := listenOnHost(listen)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(addressFile, []byte(listener.Addr().String()+"\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	dialer := clusterDialer(dns)
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(client, dialer, target)
	}
}

// listenOnHost opens the first free port from address on, in the host's network namespace. A socket stays in the namespace in
// which it was made. The thread that entered that namespace is not used again (a locked thread ends with its goroutine).
func listenOnHost(address string) (net.Listener, error) {
	type outcome struct {
		listener net.Listener
		err      error
	}
	done := make(chan outcome)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(hostNamespace, unix.CLONE_NEWNET); err != nil {
			done <- outcome{err: fmt.Errorf("enter the host's network namespace: %w", err)}
			return
		}
		listener, err := listenFrom(address)
		done <- outcome{listener, err}
	}()
	result := <-done
	return result.listener, result.err
}

func listenFrom(address string) (net.Listener, error) {
	host, first, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(first)
	if err != nil {
		return nil, err
	}
	for try := port; try < port+portsToTry; try++ {
		var listener net.Listener
		if listener, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(try))); err == nil {
			return listener, nil
		}
	}
	return nil, err
}

func clusterDialer(dns string) *net.Dialer {
	return &net.Dialer{
		Timeout: 5 * time.Second,
		Resolver: &net.Resolver{
			PreferGo: true,
			Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, dns)
			},
		},
	}
}

func serve(client net.Conn, dialer *net.Dialer, target string) {
	defer client.Close()
	server, err := dialer.Dial("tcp", target)
	if err != nil {
		log.Print(err)
		return
	}
	defer server.Close()
	finished := make(chan error, 2)
	go func() { finished <- pass(server, client) }()
	go func() { finished <- pass(client, server) }()
	// One side may end its half and still listen. A broken side ends both, so that neither waits for a peer that is gone.
	if <-finished == nil {
		<-finished
	}
}

func pass(to, from net.Conn) error {
	_, err := io.Copy(to, from)
	if err == nil {
		err = to.(*net.TCPConn).CloseWrite()
	}
	return err
}
