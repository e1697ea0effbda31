// SPDX-License-Identifier: MIT

//! Tokio as people use it: a task for each connection, with a buffer of its own.
//!
//! receiver PORT STREAMS [print|latencies]: see ../README.md.

use std::io::{Error, ErrorKind, Write};

use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const BUFFER_SIZE: usize = 64 * 1024;
const MESSAGE_SIZE: usize = 64;

#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Count,
    Content,
    Latencies,
}

/// How many bytes came, and what is to be told besides.
type Received = std::io::Result<(u64, Vec<u8>)>;

async fn count(mut connection: TcpStream) -> Received {
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut bytes = 0;

    loop {
        let size = connection.read(&mut buffer).await?;
        if size == 0 {
            return Ok((bytes, Vec::new()));
        }
        bytes += size as u64;
    }
}

async fn content(mut connection: TcpStream) -> Received {
    let mut data = Vec::new();

    connection.read_to_end(&mut data).await?;
    Ok((data.len() as u64, data))
}

async fn latencies(connection: TcpStream) -> Received {
    let mut reader = BufReader::with_capacity(BUFFER_SIZE, connection);
    let mut message = [0; MESSAGE_SIZE];
    let mut bytes = 0;
    let mut told = Vec::new();

    loop {
        match reader.read_exact(&mut message).await {
            Ok(size) => bytes += size as u64,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok((bytes, told)),
            Err(error) => return Err(error),
        }
        let due = u64::from_le_bytes(message[..8].try_into().unwrap());
        if due != 0 {
            told.extend_from_slice(&(now()? - due).to_le_bytes());
        }
    }
}

/// CLOCK_MONOTONIC in ns, which an Instant keeps to itself.
fn now() -> std::io::Result<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };

    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) } != 0 {
        return Err(Error::last_os_error());
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

async fn serve(port: u16, streams: usize, wanted: Wanted) -> Received {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut tasks = Vec::with_capacity(streams);
    let mut total = 0;
    let mut told = Vec::new();

    for _ in 0..streams {
        let (connection, _) = listener.accept().await?;
        tasks.push(match wanted {
            Wanted::Count => tokio::spawn(count(connection)),
            Wanted::Content => tokio::spawn(content(connection)),
            Wanted::Latencies => tokio::spawn(latencies(connection)),
        });
    }
    for task in tasks {
        let (bytes, more) = task.await??;
        total += bytes;
        told.extend(more);
    }
    Ok((total, told))
}

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let port = words[1].parse().expect("a port");
    let streams = words[2].parse().expect("a number of streams");
    let wanted = match words.get(3).map(String::as_str) {
        None => Wanted::Count,
        Some("print") => Wanted::Content,
        Some(_) => Wanted::Latencies,
    };
    let (total, told) = tokio::runtime::Runtime::new()?.block_on(serve(port, streams, wanted))?;

    if wanted != Wanted::Content {
        println!("{total}");
    }
    std::io::stdout().write_all(&told)?;
    std::io::stdout().flush()
}
