"""Convolutions of float32 images, compiled for this machine by numba (extra `fast`).

toom.py has the matrices of short convolutions, simd.py what is done with whole vectors, winograd.py
and direct.py the two ways to convolve, compiled.py how functions are compiled and kept.
../dispatch.py says which is taken when; ../numpy_.py is what they have to agree with.
"""
