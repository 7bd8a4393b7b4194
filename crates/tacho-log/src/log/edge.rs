use crate::merkle::{Frontier, Hash, complete_subtrees};
use crate::tile::{TILE_WIDTH, TileError, TileId, place, tiles_between};

/// The tree under a checkpoint, as far as growing it needs: the roots of its complete subtrees, and the
/// hashes of its partial tiles. A few kilobytes, whatever the size.
#[derive(Clone, Debug, Default)]
pub(super) struct Edge {
    frontier: Frontier,
    /// For each level of tiles, the hashes of its partial tile.
    levels: Vec<Vec<Hash>>,
}

/// A tile to be written: which, and its hashes.
pub(super) type NewTile = (TileId, Vec<Hash>);

impl Edge {
    /// From the partial tiles of a log of `size` records. Whether they are the right ones only the root
    /// can tell.
    pub(super) fn new(size: u64, tiles: Vec<NewTile>) -> Result<Self, TileError> {
        let mut levels = Vec::new();
        for (tile, hashes) in tiles {
            let level = usize::from(tile.level());
            levels.resize_with(levels.len().max(level + 1), Vec::new);
            if let Some(open) = levels.get_mut(level) {
                *open = hashes;
            }
        }
        let mut peaks = Vec::new();
        for (level, index) in complete_subtrees(size) {
            let place = place(level, index, size).ok_or(TileError::NoSuchTile)?;
            let tile = levels.get(usize::from(place.tile.level()));
            peaks.push(
                tile.and_then(|tile| place.root(tile))
                    .ok_or(TileError::NoSuchTile)?,
            );
        }
        let frontier = Frontier::from_peaks(size, peaks)
            .ok()
            .ok_or(TileError::NoSuchTile)?;
        Ok(Self { frontier, levels })
    }

    pub(super) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The roots of the complete subtrees.
    pub(super) const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The tree with more leaves, and the tiles that it has and this one has not.
    pub(super) fn grow(&self, leaves: &[Hash]) -> Result<(Self, Vec<NewTile>), TileError> {
        let mut grown = self.clone();
        let mut tiles = Vec::new();
        for leaf in leaves {
            let levels = &mut grown.levels;
            grown.frontier.push_with(*leaf, |level, index, hash| {
                if !level.is_multiple_of(8) {
                    return;
                }
                let Ok(level) = u8::try_from(level / 8) else {
                    return;
                };
                levels.resize_with(levels.len().max(usize::from(level) + 1), Vec::new);
                let Some(tile) = levels.get_mut(usize::from(level)) else {
                    return;
                };
                tile.push(*hash);
                if tile.len() == usize::from(TILE_WIDTH) {
                    tiles.push((
                        TileId::new(level, index >> 8, TILE_WIDTH),
                        std::mem::take(tile),
                    ));
                }
            });
        }
        for id in tiles_between(self.size(), grown.size()).filter(|id| !id.is_full()) {
            let hashes = grown.levels.get(usize::from(id.level())).cloned();
            tiles.push((Ok(id), hashes.unwrap_or_default()));
        }
        let tiles = tiles
            .into_iter()
            .map(|(id, hashes)| Ok((id?, hashes)))
            .collect::<Result<_, _>>()?;
        Ok((grown, tiles))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::merkle::leaf_hash;
    use crate::tile::{partial_tiles, tiles_at};

    /// Grown in steps, the edge writes exactly the tiles that each size has, and is read back from them.
    #[test]
    fn grows_the_tiles_of_every_size() {
        let leaves = (0..66_500_u32)
            .map(|n| leaf_hash(&n.to_be_bytes()))
            .collect::<Vec<_>>();
        let mut edge = Edge::default();
        let mut whole = Frontier::new();
        let mut tiles = BTreeMap::new();
        for step in [
            0, 1, 1, 253, 1, 1, 255, 300, 1_000, 63_000, 700, 24, 900, 64,
        ] {
            let from = usize::try_from(edge.size()).unwrap();
            let new = &leaves[from..from + step];
            let (grown, written) = edge.grow(new).unwrap();
            new.iter().for_each(|leaf| whole.push(*leaf));
            tiles.extend(written);
            edge = grown;
            assert_eq!(edge.root(), whole.root());
            for id in tiles_at(edge.size()) {
                assert_eq!(tiles[&id].len(), usize::from(id.width()), "{}", id.path());
            }
            let partial = partial_tiles(edge.size())
                .map(|id| (id, tiles[&id].clone()))
                .collect();
            let read = Edge::new(edge.size(), partial).unwrap();
            assert_eq!(read.root(), edge.root());
            assert_eq!(read.grow(&[]).unwrap().1, []);
        }
    }
}
