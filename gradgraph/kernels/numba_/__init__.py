"""Kernels for float32 arrays, compiled for this machine by numba (extra `fast`).

toom.py has the matrices of short convolutions, simd.py what is done with whole vectors, winograd.py
and direct.py the two ways to convolve, product.py products of matrices, dense.py relu, masks and
pools, statistics.py normalisations; compiled.py says how functions are compiled and kept,
parallel.py how threads share the work.
../dispatch.py says which is taken when; ../numpy_.py is what they have to agree with.
"""
