// Windows of images: the pixel that stands for one past the edge, where the image is mirrored with its edge repeated.
fn mirrored(at: i32, side: u32) -> u32 {
    let period = i32(2u * side);
    var inside = at % period;
    inside = select(inside, inside + period, inside < 0);
    return u32(select(inside, period - 1 - inside, inside >= i32(side)));
}
