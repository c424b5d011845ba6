"""moqui, the GPU Monte Carlo for protons (Lee et al., Med. Phys. 49, 2022; program tps_env), behind the engine port."""
