//! The end of a long output.

use std::collections::VecDeque;

pub(super) struct Tail {
    bytes: VecDeque<u8>,
    limit: usize,
    cut: u64,
}

impl Tail {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            limit,
            cut: 0,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend(chunk);
        let excess = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..excess);
        self.cut += excess as u64;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn into_text(self) -> String {
        let bytes: Vec<u8> = self.bytes.into();
        let text = String::from_utf8_lossy(&bytes);
        if self.cut == 0 {
            text.into_owned()
        } else {
            format!("[{} bytes before]\n{text}", self.cut)
        }
    }
}
