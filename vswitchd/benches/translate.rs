//! Soon.
fn main() {
    let _ = std::any::type_name::<criterion::Criterion>();
}
