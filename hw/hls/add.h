// Elementwise sum of two edges: the join of a residual fork.
//
// Stream version
//   Ports    first, second, res: streams of packs; the packs of a flat frame may differ in size
//   Loops    one over the packs of res where all three have the same size; otherwise both frames are
//            gathered first
//   Latency  size / pack cycles, II = 1 (three such loops when gathering)
//
// Array version
//   Ports    first[size], second[size], res[size]
//   Loops    Elements, unrolled
//
// CONFIG_T::size  elements in a frame

#ifndef CODESIGN_ADD_H_
#define CODESIGN_ADD_H_

#include "hls_stream.h"

namespace codesign {

template <class data_T, class x_T> void gather(hls::stream<data_T> &data, x_T *frame, unsigned size) {
    #pragma HLS INLINE
Gather:
    for (unsigned p = 0; p < size / data_T::size; p++) {
        #pragma HLS PIPELINE II=1 style=flp
        data_T pack = data.read();
        for (unsigned i = 0; i < data_T::size; i++) {
            #pragma HLS UNROLL
            frame[p * data_T::size + i] = pack[i];
        }
    }
}

template <class first_T, class second_T, class res_T, class CONFIG_T>
void add(hls::stream<first_T> &first, hls::stream<second_T> &second, hls::stream<res_T> &res) {
    const unsigned pack = res_T::size;
    const bool together = first_T::size == pack && second_T::size == pack;
    typename first_T::value_type first_frame[together ? 1 : CONFIG_T::size];
    #pragma HLS ARRAY_PARTITION variable=first_frame complete
    typename second_T::value_type second_frame[together ? 1 : CONFIG_T::size];
    #pragma HLS ARRAY_PARTITION variable=second_frame complete
    if (!together) {
        gather(first, first_frame, CONFIG_T::size);
        gather(second, second_frame, CONFIG_T::size);
    }
Packs:
    for (unsigned p = 0; p < CONFIG_T::size / pack; p++) {
        #pragma HLS PIPELINE II=1 style=flp
        res_T out;
        if (together) {
            first_T a = first.read();
            second_T b = second.read();
            for (unsigned i = 0; i < pack; i++) {
                #pragma HLS UNROLL
                out[i] = a[together ? i : 0] + b[together ? i : 0];
            }
        } else {
            for (unsigned i = 0; i < pack; i++) {
                #pragma HLS UNROLL
                out[i] = first_frame[together ? 0 : p * pack + i] + second_frame[together ? 0 : p * pack + i];
            }
        }
        res.write(out);
    }
}

template <class first_T, class second_T, class res_T, class CONFIG_T>
void add(first_T first[CONFIG_T::size], second_T second[CONFIG_T::size], res_T res[CONFIG_T::size]) {
Elements:
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
        #pragma HLS UNROLL
        res[i] = first[i] + second[i];
    }
}

} // namespace codesign

#endif
