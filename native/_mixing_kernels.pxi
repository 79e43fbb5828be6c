# Kernels over samples, for tests and benchmarks.

def mix_ramp(float[::1] out, const float[::1] src, float g0, float g1):
    """Adds `src` × a linear ramp to `out`; both float32, (samples,). ValueError if lengths differ."""
    if out.shape[0] != src.shape[0]:
        raise ValueError("out and src differ in length")
    if out.shape[0]:
        kb_mix_ramp(&out[0], &src[0], out.shape[0], g0, g1)


def apply_ramp(float[::1] samples, float g0, float g1):
    """Multiplies `samples` by a linear ramp, in place."""
    if samples.shape[0]:
        kb_apply_ramp(&samples[0], samples.shape[0], g0, g1)


def crossfade(const float[::1] a, const float[::1] b):
    """A new array going linearly from `a` to `b`. ValueError if lengths differ."""
    if a.shape[0] != b.shape[0]:
        raise ValueError("a and b differ in length")
    result = np.empty(a.shape[0], np.float32)
    cdef float[::1] out = result
    if a.shape[0]:
        kb_crossfade(&out[0], &a[0], &b[0], a.shape[0])
    return result


def energy(const float[::1] samples):
    """Sum of squares."""
    return kb_energy(&samples[0], samples.shape[0]) if samples.shape[0] else 0.0


def peak(const float[::1] samples):
    """Largest magnitude."""
    return kb_peak(&samples[0], samples.shape[0]) if samples.shape[0] else 0.0


def all_within(const float[::1] samples, float limit):
    """Whether every sample is a number of at most `limit` in magnitude."""
    return bool(kb_all_within(&samples[0], samples.shape[0], limit)) if samples.shape[0] else True


def sanitize(float[::1] samples, float limit):
    """Silences what is no number, beyond ±limit or denormal, in place; how many were beyond."""
    return kb_sanitize(&samples[0], samples.shape[0], limit) if samples.shape[0] else 0


def true_peak(const float[::1] samples):
    """Per-sample true peak of all but the first and last 8 samples, (samples − 16,). ValueError below 17."""
    cdef Py_ssize_t n = samples.shape[0] - 2 * KB_TRUE_PEAK_REACH
    if n < 1:
        raise ValueError("a true peak needs 8 samples on either side")
    result = np.empty(n, np.float32)
    cdef float[::1] out = result
    kb_true_peak(&out[0], &samples[KB_TRUE_PEAK_REACH], n)
    return result


def wsola_search(const float[::1] model, const float[::1] candidates):
    """(where candidates resemble the 240 samples of `model` most, their normalised correlation).

    ValueError unless both have 240 samples.
    """
    if model.shape[0] < KB_WSOLA_OVERLAP or candidates.shape[0] < KB_WSOLA_OVERLAP:
        raise ValueError("240 samples are compared")
    cdef kb_wsola_match found = kb_wsola_search(
        &model[0], &candidates[0], <int32_t>(candidates.shape[0] - KB_WSOLA_OVERLAP + 1))
    return found.at, found.likeness


def wsola_cut(const float[::1] samples, int lag):
    """A copy without the first `lag` samples, faded into what follows. ValueError below lag + 240."""
    if lag < 0 or samples.shape[0] < lag + KB_WSOLA_OVERLAP:
        raise ValueError("nothing to fade into")
    result = np.array(samples)
    cdef float[::1] out = result
    return result[: kb_wsola_cut(&out[0], out.shape[0], lag)]


def wsola_insert(const float[::1] samples, int at, int lag):
    """A copy in which the `lag` samples before `at` come twice. ValueError unless 240 more follow."""
    if lag < 0 or at < lag or samples.shape[0] < at + KB_WSOLA_OVERLAP:
        raise ValueError("nothing to repeat, or to fade out of")
    result = np.concatenate([samples, np.zeros(lag, np.float32)])
    cdef float[::1] out = result
    kb_wsola_insert(&out[at], samples.shape[0] - at, lag)
    return result
