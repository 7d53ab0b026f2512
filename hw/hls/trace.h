// Recording of edges in C simulation; nothing in synthesis.
//
// A testbench that wants the values of every edge points trace_state<0>::frame at a buffer. trace() then
// copies an edge into it, element by element, and leaves the edge as it was.

#ifndef CODESIGN_TRACE_H_
#define CODESIGN_TRACE_H_

#ifndef __SYNTHESIS__

#include "hls_stream.h"

namespace codesign {

template <int> struct trace_state { static long long *frame; };
template <int N> long long *trace_state<N>::frame = 0;

// Streams: every token is read and written back.
template <unsigned ELEMENTS, class data_T> void trace(hls::stream<data_T> &edge, unsigned offset) {
    if (!trace_state<0>::frame)
        return;
    for (unsigned token = 0; token < ELEMENTS / data_T::size; token++) {
        data_T pack = edge.read();
        for (unsigned i = 0; i < data_T::size; i++)
            trace_state<0>::frame[offset + token * data_T::size + i] = pack[i].to_int64();
        edge.write(pack);
    }
}

// Arrays.
template <unsigned ELEMENTS, class data_T> void trace(const data_T *edge, unsigned offset) {
    if (!trace_state<0>::frame)
        return;
    for (unsigned i = 0; i < ELEMENTS; i++)
        trace_state<0>::frame[offset + i] = edge[i].to_int64();
}

} // namespace codesign

#endif

#endif
