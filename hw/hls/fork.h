// Copies one edge into two, for an edge that two operators read.
//
// Ports    data, a stream of packs or an array; first and second, of the same kind and type
// Loops    one over the packs
// Latency  CONFIG_T::size / pack cycles, II = 1
//
// CONFIG_T::size  elements in a frame

#ifndef CODESIGN_FORK_H_
#define CODESIGN_FORK_H_

#include "hls_stream.h"

namespace codesign {

template <class data_T, class first_T, class second_T, class CONFIG_T>
void fork(hls::stream<data_T> &data, hls::stream<first_T> &first, hls::stream<second_T> &second) {
Packs:
    for (unsigned p = 0; p < CONFIG_T::size / data_T::size; p++) {
        #pragma HLS PIPELINE II=1 style=flp
        data_T in = data.read();
        first_T a;
        second_T b;
        for (unsigned i = 0; i < data_T::size; i++) {
            #pragma HLS UNROLL
            a[i] = in[i];
            b[i] = in[i];
        }
        first.write(a);
        second.write(b);
    }
}

template <class data_T, class first_T, class second_T, class CONFIG_T>
void fork(data_T data[CONFIG_T::size], first_T first[CONFIG_T::size], second_T second[CONFIG_T::size]) {
Elements:
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
        #pragma HLS UNROLL
        first[i] = data[i];
        second[i] = data[i];
    }
}

} // namespace codesign

#endif
