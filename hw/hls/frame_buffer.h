// Stores a whole frame before its first element leaves, for an operator whose constants depend on all of it.
//
// Stream version
//   Ports    data, res: streams of packs of the same size
//   Buffers  two frames in memories, one word per pack: Store fills one while Send empties the other. The two
//            loops are functions of a dataflow region, so that the tool makes the array between them a
//            ping-pong pair. Without the DATAFLOW pragma it is one frame, and a frame takes twice as long.
//   Loops    Store, Send: one pack per cycle each, II = 1
//   Latency  2 * size / pack cycles; a frame may enter every size / pack cycles, or as fast as the faster of
//            its neighbours lets it where they are slower
//
// Array version
//   Ports    data[size], res[size]: the frame is there as a whole already
//   Loops    Elements, unrolled
//
// CONFIG_T::size  elements in a frame

#ifndef CODESIGN_FRAME_BUFFER_H_
#define CODESIGN_FRAME_BUFFER_H_

#include "hls_stream.h"

namespace codesign {

template <class data_T, class x_T, unsigned PACKS>
void frame_buffer_store(hls::stream<data_T> &data, x_T frame[PACKS][data_T::size]) {
Store:
    for (unsigned p = 0; p < PACKS; p++) {
        #pragma HLS PIPELINE II=1 style=flp
        data_T pack = data.read();
        for (unsigned i = 0; i < data_T::size; i++) {
            #pragma HLS UNROLL
            frame[p][i] = pack[i];
        }
    }
}

template <class res_T, class x_T, unsigned PACKS>
void frame_buffer_send(const x_T frame[PACKS][res_T::size], hls::stream<res_T> &res) {
Send:
    for (unsigned p = 0; p < PACKS; p++) {
        #pragma HLS PIPELINE II=1 style=flp
        res_T pack;
        for (unsigned i = 0; i < res_T::size; i++) {
            #pragma HLS UNROLL
            pack[i] = frame[p][i];
        }
        res.write(pack);
    }
}

template <class data_T, class res_T, class CONFIG_T>
void frame_buffer(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    #pragma HLS DATAFLOW
    typedef typename data_T::value_type x_t;
    const unsigned packs = CONFIG_T::size / data_T::size;
    x_t frame[packs][data_T::size];
    #pragma HLS ARRAY_RESHAPE variable=frame complete dim=2
    frame_buffer_store<data_T, x_t, packs>(data, frame);
    frame_buffer_send<res_T, x_t, packs>(frame, res);
}

template <class data_T, class res_T, class CONFIG_T>
void frame_buffer(data_T data[CONFIG_T::size], res_T res[CONFIG_T::size]) {
Elements:
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
        #pragma HLS UNROLL
        res[i] = data[i];
    }
}

} // namespace codesign

#endif
