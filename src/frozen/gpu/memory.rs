//! A plan's memory on a device: a few large pieces, given out once.

use cubecl::prelude::Client;
use cubecl::server::Handle;

use crate::kernel::allocate;

/// What buffers begin at a multiple of, in bytes: at least what any device asks for.
pub(super) const ALIGNMENT: usize = 256;

/// Bytes of a page, but for larger buffers: some drivers refuse allocations of 1 GiB.
const PAGE: usize = 512 << 20;

/// Bytes of the pages of a plan whose largest buffer is given.
pub(super) fn page(largest: usize) -> usize {
    largest.next_multiple_of(ALIGNMENT).max(PAGE)
}

/// Pages on one stream of a device.
#[derive(Debug)]
pub(super) struct Memory {
    pages: Vec<Handle>,
    page: usize,
    pub(super) bytes: usize,
    /// Device and stream: what one stream does comes in order, so that memory may be used again as soon as it is given back.
    pub(super) of: (cubecl::Device, u64),
}

impl Memory {
    pub(super) fn new(client: &Client, of: (cubecl::Device, u64), bytes: usize, page: usize) -> Self {
        let pages = (0..bytes.div_ceil(page)).map(|at| allocate(client, page.min(bytes - at * page))).collect();
        Self { pages, page, bytes, of }
    }

    /// A piece, which lies in one page.
    pub(super) fn piece(&self, start: usize, bytes: usize) -> Handle {
        let page = &self.pages[start / self.page];
        let start = (start % self.page) as u64;
        page.clone().offset_start(start).offset_end(page.size() - start - bytes as u64)
    }

    /// Whether it holds what is laid out for such pages.
    pub(super) fn fits(&self, bytes: usize, page: usize) -> bool {
        self.bytes >= bytes && self.page == page
    }
}
