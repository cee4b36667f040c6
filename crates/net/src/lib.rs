//! Values of the network: MACs, VNIs, interface names, host facts. Parsed once, printed back the same.
