// SPDX-License-Identifier: MIT

//! Tokio as people use it: a task for each connection, with a buffer of its own.
//!
//! receiver PORT STREAMS [print]: see ../README.md.

use std::io::Write;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

async fn receive(mut connection: TcpStream, prints: bool) -> std::io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;

    loop {
        let size = connection.read(&mut buffer).await?;
        if size == 0 {
            return Ok(bytes);
        }
        bytes += size as u64;
        if prints {
            std::io::stdout().write_all(&buffer[..size])?;
        }
    }
}

async fn serve(port: u16, streams: usize, prints: bool) -> std::io::Result<u64> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut tasks = Vec::with_capacity(streams);
    let mut total = 0;

    for _ in 0..streams {
        let (connection, _) = listener.accept().await?;
        tasks.push(tokio::spawn(receive(connection, prints)));
    }
    for task in tasks {
        total += task.await??;
    }
    Ok(total)
}

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let port = words[1].parse().expect("a port");
    let streams = words[2].parse().expect("a number of streams");
    let prints = words.len() > 3;
    let total = tokio::runtime::Runtime::new()?.block_on(serve(port, streams, prints))?;

    if !prints {
        println!("{total}");
    }
    std::io::stdout().flush()
}
