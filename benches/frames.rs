//! Bytes to WebSocket messages, by the size of the read buffer: what `feed` sets it by.

use std::{
    hint::black_box,
    io::{self, Read, Write},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tungstenite::{
    Message, WebSocket,
    protocol::{Role, WebSocketConfig},
};

const FRAMES: usize = 4_096;
const PAYLOAD: usize = 150;

/// A socket that has some whole frames ready at each read, and never runs dry.
struct Ready {
    frames: Vec<u8>,
    at: usize,
    a_read: usize,
}

impl Ready {
    fn new(frames_a_read: usize) -> Self {
        let mut frame = vec![0x81, 126];
        frame.extend(u16::try_from(PAYLOAD).expect("small").to_be_bytes());
        frame.resize(frame.len() + PAYLOAD, b'x');
        let a_read = frame.len() * frames_a_read;
        Self { frames: frame.repeat(FRAMES), at: 0, a_read }
    }
}

impl Read for Ready {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // Reading stops where the kernel's buffer does, as far as there is room.
        let left = self.a_read - self.at % self.a_read;
        let n = buf.len().min(left);
        buf[..n].copy_from_slice(&self.frames[self.at..self.at + n]);
        self.at = (self.at + n) % self.frames.len();
        Ok(n)
    }
}

impl Write for Ready {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(FRAMES as u64));
    for frames_a_read in [1, 8, 64] {
        for kib in [4, 8, 16, 32, 64, 128] {
            let config = WebSocketConfig::default().read_buffer_size(kib << 10);
            let mut socket =
                WebSocket::from_raw_socket(Ready::new(frames_a_read), Role::Client, Some(config));
            let id = BenchmarkId::new(format!("{frames_a_read} a read"), format!("{kib} KiB"));
            group.bench_function(id, |it| {
                it.iter(|| {
                    for _ in 0..FRAMES {
                        match black_box(socket.read()) {
                            Ok(Message::Text(text)) => assert_eq!(text.len(), PAYLOAD),
                            other => panic!("{other:?}"),
                        }
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = frames
}
criterion_main!(benches);
