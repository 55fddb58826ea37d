// Number of a workgroup in a grid of two dimensions; one dimension alone ends at 65,535.
fn group_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}
