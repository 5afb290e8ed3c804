//! The journal's format: an Arrow IPC stream in which every message has a checksum.
//!
//! The stream format has none, but it lets the metadata of a message be padded. The last eight
//! bytes of that padding are ours: the CRC-32 of the message's head and that of its body. Other
//! readers of Arrow streams pass over them.
//!
//! ```text
//! ff ff ff ff | length of metadata | metadata, padding, CRC of all before, CRC of the body | body
//! ```

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
};

use arrow::{
    array::RecordBatch,
    buffer::Buffer,
    datatypes::SchemaRef,
    error::ArrowError,
    ipc::{
        MetadataVersion,
        reader::StreamDecoder,
        root_as_message,
        writer::{
            DictionaryHandling, DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext,
            IpcWriteOptions,
        },
    },
};

use super::{schema::schema, table::Table};

/// How a message begins.
const MARK: [u8; 4] = [0xff; 4];

/// The mark and the length of the metadata.
const PREFIX: usize = 8;

/// What follows a message's metadata.
const CHECKSUMS: usize = 8;

/// All lengths are multiples of this.
const ALIGNMENT: usize = 8;

/// Metadata longer than this is none of ours: that of a batch takes about 1 KB.
const METADATA_MAX: usize = 64 << 10;

/// A body larger than this is none of ours: a batch of 8,192 rows takes about 1 MB.
const BODY_MAX: usize = 64 << 20;

/// Batches to messages.
pub(super) struct Encoder {
    schema: SchemaRef,
    options: IpcWriteOptions,
    context: IpcWriteContext,
    dictionaries: DictionaryTracker,
    began: bool,
}

impl Encoder {
    pub(super) fn new(table: Table) -> Self {
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)
            .expect("8 is an alignment of the format");
        Self {
            schema: schema(table),
            // A dictionary that is the one of before costs nothing, one that has grown its end.
            options: options.with_dictionary_handling(DictionaryHandling::Delta),
            context: IpcWriteContext::default(),
            dictionaries: DictionaryTracker::new(false),
            began: false,
        }
    }

    /// Appends to `frame` what `batch` adds to the stream: its rows, names that are new, and the
    /// schema if nothing came before.
    pub(super) fn encode(
        &mut self,
        batch: &RecordBatch,
        frame: &mut Vec<u8>,
    ) -> Result<(), ArrowError> {
        let generator = IpcDataGenerator::default();
        let Self { schema, options, context, dictionaries, began } = self;
        if !*began {
            let message =
                generator.schema_to_bytes_with_dictionary_tracker(schema, dictionaries, options);
            push(message, frame);
            *began = true;
        }
        let (names, rows) = generator.encode(batch, dictionaries, options, context)?;
        for message in names.into_iter().chain([rows]) {
            push(message, frame);
        }
        Ok(())
    }
}

fn push(message: EncodedData, frame: &mut Vec<u8>) {
    let EncodedData { mut ipc_message, arrow_data } = message;
    ipc_message.resize(ipc_message.len().next_multiple_of(ALIGNMENT), 0);
    let length = u32::try_from(ipc_message.len() + CHECKSUMS).expect("a message of ours is small");
    let start = frame.len();
    frame.extend_from_slice(&MARK);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&ipc_message);
    let head = crc32fast::hash(&frame[start..]);
    frame.extend_from_slice(&head.to_le_bytes());
    frame.extend_from_slice(&crc32fast::hash(&arrow_data).to_le_bytes());
    frame.extend_from_slice(&arrow_data);
}

/// Why a journal cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Flaw {
    /// It ends within a message, as that of a killed process does.
    #[error("it ends within a message")]
    Cut,
    /// What is there was not written by us, or has changed since.
    #[error("from byte {at} on {what}")]
    Damaged { at: u64, what: String },
    /// The system does not let us.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Messages to batches.
pub(super) struct Reader {
    schema: SchemaRef,
    decoder: StreamDecoder,
    at: u64,
}

impl Reader {
    pub(super) fn new(table: Table) -> Self {
        Self { schema: schema(table), decoder: StreamDecoder::new(), at: 0 }
    }

    /// The next batch, of those that end at or before byte `end`; `None` if there is no other.
    pub(super) fn next(&mut self, journal: &File, end: u64) -> Result<Option<RecordBatch>, Flaw> {
        while self.at < end {
            let message = self.message(journal, end)?;
            let length = message.iter().map(|it| it.len() as u64).sum::<u64>();
            let batch = self.decode(message)?;
            self.at += length;
            if batch.is_some() {
                return Ok(batch);
            }
        }
        Ok(None)
    }

    /// The head and the body of the next message.
    fn message(&self, journal: &File, end: u64) -> Result<[Buffer; 2], Flaw> {
        let left = end - self.at;
        let mut prefix = [0; PREFIX];
        if left < PREFIX as u64 {
            return Err(Flaw::Cut);
        }
        journal.read_exact_at(&mut prefix, self.at)?;
        let [a, b, c, d, length @ ..] = prefix;
        let length = u32::from_le_bytes(length) as usize;
        let lengths = CHECKSUMS..=METADATA_MAX;
        if [a, b, c, d] != MARK || !lengths.contains(&length) || !length.is_multiple_of(ALIGNMENT) {
            return Err(self.damaged("there is no message"));
        }
        let head = PREFIX + length;
        if left < head as u64 {
            return Err(Flaw::Cut);
        }
        let head = read(journal, self.at, head)?;
        let (checked, checksums) = head.split_at(head.len() - CHECKSUMS);
        let [head_crc, body_crc] = [0, 4].map(|it| {
            let four = checksums[it..it + 4].try_into().expect("four bytes");
            u32::from_le_bytes(four)
        });
        if crc32fast::hash(checked) != head_crc {
            return Err(self.damaged("the head of a message has changed"));
        }
        let body = root_as_message(&checked[PREFIX..]).map(|it| it.bodyLength());
        let body = body.ok().and_then(|it| usize::try_from(it).ok()).filter(|it| *it <= BODY_MAX);
        let body = body.ok_or_else(|| self.damaged("a message has no length"))?;
        if left - (head.len() as u64) < body as u64 {
            return Err(Flaw::Cut);
        }
        let body = read(journal, self.at + head.len() as u64, body)?;
        if crc32fast::hash(&body) != body_crc {
            return Err(self.damaged("the body of a message has changed"));
        }
        Ok([head, body].map(Buffer::from))
    }

    fn decode(&mut self, message: [Buffer; 2]) -> Result<Option<RecordBatch>, Flaw> {
        let decoder = &mut self.decoder;
        // Who makes its checksums right can make a message that the Arrow library panics at.
        let decoded = catch_unwind(AssertUnwindSafe(|| {
            let parts = message.into_iter().filter(|it| !it.is_empty());
            parts.map(|mut it| decoder.decode(&mut it)).last().unwrap_or(Ok(None))
        }));
        let decoded = decoded.map_err(|_| self.damaged("a message is none of Arrow"))?;
        let batch = decoded.map_err(|it| self.damaged(&it.to_string()))?;
        let Some(batch) = batch else { return Ok(None) };
        if batch.schema_ref().fields() != self.schema.fields() {
            return Err(self.damaged("the columns are others than this program writes"));
        }
        Ok(Some(batch))
    }

    /// How far it has been read: up to the end of a message.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    fn damaged(&self, what: &str) -> Flaw {
        Flaw::Damaged { at: self.at, what: what.to_owned() }
    }
}

fn read(journal: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    journal.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{super::records, *};
    use crate::{
        market::{Exchange, Gap, GapReason, Market, Nanos, Venue},
        registry::Registry,
    };

    fn message() -> Vec<u8> {
        let gap = Gap {
            from: Nanos(0),
            to: Nanos(0),
            venue: Venue::new(Exchange::ALL[0], Market::Spot),
            instrument: None,
            channel: None,
            reason: GapReason::Crash,
            dropped: Some(1),
            conn: None,
        };
        let batch = records::gaps(&[gap], &Registry::default());
        let mut bytes = Vec::new();
        Encoder::new(Table::Gaps).encode(&batch, &mut bytes).expect("a batch of the table");
        bytes
    }

    /// Where each message begins, and where its checksums and its body are.
    fn messages(bytes: &[u8]) -> Vec<[usize; 3]> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let length = bytes[at + 4..at + PREFIX].try_into().expect("four bytes");
            let body = at + PREFIX + u32::from_le_bytes(length) as usize;
            found.push([at, body - CHECKSUMS, body]);
            let head = root_as_message(&bytes[at + PREFIX..body]).expect("a message");
            at = body + usize::try_from(head.bodyLength()).expect("a length");
        }
        found
    }

    /// Found by fuzzing: the Arrow library panics at lengths that are beyond the body.
    #[test]
    fn what_has_its_checksums_made_right_is_read_or_refused() {
        let good = message();
        let messages = messages(&good);
        let file = tempfile::tempfile().expect("a folder to write to");
        let mut refused = 0;
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0xff;
            for (n, &[begin, checksums, body]) in messages.iter().enumerate() {
                let end = messages.get(n + 1).map_or(bytes.len(), |it| it[0]);
                let head = crc32fast::hash(&bytes[begin..checksums]).to_le_bytes();
                let body_crc = crc32fast::hash(&bytes[body..end]).to_le_bytes();
                bytes[checksums..body].copy_from_slice(&[head, body_crc].concat());
            }
            file.write_all_at(&bytes, 0).expect("space");
            let mut reader = Reader::new(Table::Gaps);
            refused += loop {
                match reader.next(&file, bytes.len() as u64) {
                    Ok(Some(_)) => {}
                    Ok(None) => break 0,
                    Err(_) => break 1,
                }
            };
        }
        assert!(100 < refused, "{refused} of {}", good.len());
    }
}
