"""C kernels and threads behind thin façades; imports nothing else of Kabina."""
