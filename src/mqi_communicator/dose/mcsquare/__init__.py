"""MCsquare, the CPU Monte Carlo for protons (Souris, Lee and Sterpin, Med. Phys. 43, 2016), behind the engine port."""
