/// x
#[derive(Debug)]
pub enum Fault {}
/// x
#[derive(Debug)]
pub enum AfterCrash {}
/// x
#[derive(Debug)]
pub struct FaultyDisk;
