// Reads a frame (height, width, channels) as one vector, channels fastest: the order in which the elements
// arrive already.
//
// Ports    data, res: streams of packs of the same size, or arrays of CONFIG_T::size elements
// Loops    one over the packs
// Latency  CONFIG_T::size / pack cycles, II = 1; arrays are wires
//
// CONFIG_T::size  elements in a frame

#ifndef CODESIGN_FLATTEN_H_
#define CODESIGN_FLATTEN_H_

#include "hls_stream.h"

namespace codesign {

template <class data_T, class res_T, class CONFIG_T>
void flatten(hls::stream<data_T> &data, hls::stream<res_T> &res) {
Packs:
    for (unsigned p = 0; p < CONFIG_T::size / data_T::size; p++) {
        #pragma HLS PIPELINE II=1 style=flp
        data_T in = data.read();
        res_T out;
        for (unsigned i = 0; i < data_T::size; i++) {
            #pragma HLS UNROLL
            out[i] = in[i];
        }
        res.write(out);
    }
}

template <class data_T, class res_T, class CONFIG_T>
void flatten(data_T data[CONFIG_T::size], res_T res[CONFIG_T::size]) {
Elements:
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
        #pragma HLS UNROLL
        res[i] = data[i];
    }
}

} // namespace codesign

#endif
