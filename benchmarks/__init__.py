"""Load generator, impairment relay and the benchmarks behind `kabina bench`."""
