// SPDX-License-Identifier: MIT

// Go as people use it: a goroutine for each connection, with a buffer of its own.
//
// receiver PORT STREAMS [print|latencies]: see ../README.md.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	bufferSize  = 64 * 1024
	messageSize = 64
)

// What is received, and what is to be told besides.
type result func(connection net.Conn) (bytes int, told []byte)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: receiver PORT STREAMS [print|latencies]")
	}
	streams, err := strconv.Atoi(os.Args[2])
	check(err)
	listener, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[1])
	check(err)
	receive, counts := count, true
	if len(os.Args) > 3 && os.Args[3] == "print" {
		receive, counts = content, false
	} else if len(os.Args) > 3 {
		receive = latencies(newClock())
	}

	var mutex sync.Mutex
	var total int
	var told []byte
	var ended sync.WaitGroup
	ended.Add(streams)
	for i := 0; i < streams; i++ {
		connection, err := listener.Accept()
		check(err)
		go func() {
			defer ended.Done()
			defer connection.Close()
			bytes, more := receive(connection)
			mutex.Lock()
			defer mutex.Unlock()
			total += bytes
			told = append(told, more...)
		}()
	}
	ended.Wait()
	if counts {
		fmt.Println(total)
	}
	_, err = os.Stdout.Write(told)
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func count(connection net.Conn) (total int, _ []byte) {
	buffer := make([]byte, bufferSize)
	for {
		size, err := connection.Read(buffer)
		total += size
		if err == io.EOF {
			return total, nil
		}
		check(err)
	}
}

func content(connection net.Conn) (int, []byte) {
	data, err := io.ReadAll(connection)
	check(err)
	return len(data), data
}

func latencies(clock clock) result {
	return func(connection net.Conn) (total int, told []byte) {
		reader := bufio.NewReaderSize(connection, bufferSize)
		message := make([]byte, messageSize)
		for {
			size, err := io.ReadFull(reader, message)
			total += size
			if err == io.EOF {
				return total, told
			}
			check(err)
			if due := binary.LittleEndian.Uint64(message); due != 0 {
				told = binary.LittleEndian.AppendUint64(told, clock.now()-due)
			}
		}
	}
}

// CLOCK_MONOTONIC, which package time reads too, but tells only from a Time on.
type clock struct {
	begin   time.Time
	beginNs uint64
}

func newClock() (best clock) {
	least := time.Hour
	// What lies between the two readings makes all latencies longer or shorter.
	for i := 0; i < 100; i++ {
		var now syscall.Timespec
		before := time.Now()
		_, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&now)), 0)
		after := time.Now()
		if errno != 0 {
			log.Fatal(errno)
		}
		if took := after.Sub(before); took < least {
			least = took
			best = clock{before, uint64(now.Nano()) - uint64(took)/2}
		}
	}
	return best
}

func (clock clock) now() uint64 {
	return clock.beginNs + uint64(time.Since(clock.begin))
}
