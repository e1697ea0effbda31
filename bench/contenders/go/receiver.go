// SPDX-License-Identifier: MIT

// Go as people use it: a goroutine for each connection, with a buffer of its own.
//
// receiver PORT STREAMS [print]: see ../README.md.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: receiver PORT STREAMS [print]")
	}
	streams, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	prints := len(os.Args) > 3
	var total int64
	var ended sync.WaitGroup
	ended.Add(streams)
	for i := 0; i < streams; i++ {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer ended.Done()
			defer connection.Close()
			receive(connection, prints, &total)
		}()
	}
	ended.Wait()
	if !prints {
		fmt.Println(total)
	}
}

func receive(connection net.Conn, prints bool, total *int64) {
	buffer := make([]byte, 64*1024)
	for {
		size, err := connection.Read(buffer)
		atomic.AddInt64(total, int64(size))
		if prints {
			if _, err := os.Stdout.Write(buffer[:size]); err != nil {
				log.Fatal(err)
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}
