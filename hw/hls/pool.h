// Pooling over windows that may overlap or leave a rest: what max_pool and sum_pool share.
//
// Stream version
//   Ports    data, res: one pack of channels per pixel, row by row
//   Buffers  no lines: ceil(kernel_width / stride_width) running row results in registers, and
//            ceil(kernel_height / stride_height) rows of out_width running window results
//   Loop     Pixels, one cycle per input pixel
//   Latency  in_height * in_width cycles, II = 1
//
// Array version
//   Ports    data[in_height][in_width][channels], res[out_height][out_width][channels], flat
//   Loops    rows, columns, channels of the output; taps unrolled
//
// CONFIG_T
//   in_height, in_width, channels, out_height, out_width
//   kernel_height, kernel_width, stride_height, stride_width
//
// REDUCE_T: static apply(so_far, next), associative.

#ifndef CODESIGN_POOL_H_
#define CODESIGN_POOL_H_

#include "hls_stream.h"

namespace codesign {

template <class REDUCE_T, class data_T, class res_T, class CONFIG_T>
void pool(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    typedef typename res_T::value_type y_t;
    const unsigned channels = CONFIG_T::channels;
    // Windows that one row, one column of pixels belongs to at most.
    const unsigned wide = (CONFIG_T::kernel_width + CONFIG_T::stride_width - 1) / CONFIG_T::stride_width;
    const unsigned high = (CONFIG_T::kernel_height + CONFIG_T::stride_height - 1) / CONFIG_T::stride_height;
    // The same window result comes back after a row. In a narrow frame that is too soon for a memory.
    const bool narrow = CONFIG_T::in_width < 8;

    y_t row_result[wide][channels];
    #pragma HLS ARRAY_PARTITION variable=row_result complete dim=0
    y_t result[high][narrow ? 1 : CONFIG_T::out_width][channels];
    #pragma HLS ARRAY_PARTITION variable=result complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=result complete dim=3
    #pragma HLS DEPENDENCE variable=result inter false
    y_t narrow_result[high][narrow ? CONFIG_T::out_width : 1][channels];
    #pragma HLS ARRAY_PARTITION variable=narrow_result complete dim=0

    unsigned row = 0, row_phase = 0;       // window row that starts at or above the pixel, rows below its start
    unsigned column = 0, column_phase = 0; // likewise for columns
    unsigned x = 0;                        // column of the pixel
    unsigned bank = 0;                     // row modulo high

Pixels:
    for (unsigned p = 0; p < CONFIG_T::in_height * CONFIG_T::in_width; p++) {
        #pragma HLS PIPELINE II=1 style=flp
        data_T pixel = data.read();

        // Slot s holds the row result of window column (column - s); a new window moves the others up.
        if (column_phase == 0) {
        Slots:
            for (unsigned s = wide - 1; s > 0; s--) {
                #pragma HLS UNROLL
                for (unsigned c = 0; c < channels; c++) {
                    #pragma HLS UNROLL
                    row_result[s][c] = row_result[s - 1][c];
                }
            }
        }
        bool row_done = false;
        unsigned done_column = 0;
        y_t done[channels];
        #pragma HLS ARRAY_PARTITION variable=done complete
    Across:
        for (unsigned s = 0; s < wide; s++) {
            #pragma HLS UNROLL
            const unsigned tap = column_phase + s * CONFIG_T::stride_width;
            const bool inside = tap < CONFIG_T::kernel_width && column >= s && column - s < CONFIG_T::out_width;
            for (unsigned c = 0; c < channels; c++) {
                #pragma HLS UNROLL
                const y_t next = pixel[c];
                const y_t sofar = tap == 0 ? next : REDUCE_T::apply(row_result[s][c], next);
                row_result[s][c] = sofar;
                if (inside && tap == CONFIG_T::kernel_width - 1)
                    done[c] = sofar;
            }
            if (inside && tap == CONFIG_T::kernel_width - 1) {
                row_done = true;
                done_column = column - s;
            }
        }

        if (row_done) {
            bool window_done = false;
            res_T out;
            // Each bank holds another window row, so that all are updated in the same cycle.
        Down:
            for (unsigned b = 0; b < high; b++) {
                #pragma HLS UNROLL
                const unsigned s = bank >= b ? bank - b : bank + high - b;
                const unsigned tap = row_phase + s * CONFIG_T::stride_height;
                const bool inside = tap < CONFIG_T::kernel_height && row >= s && row - s < CONFIG_T::out_height;
                if (inside) {
                    for (unsigned c = 0; c < channels; c++) {
                        #pragma HLS UNROLL
                        const y_t before = narrow ? narrow_result[b][narrow ? done_column : 0][c]
                                                  : result[b][narrow ? 0 : done_column][c];
                        const y_t sofar = tap == 0 ? done[c] : REDUCE_T::apply(before, done[c]);
                        if (narrow)
                            narrow_result[b][narrow ? done_column : 0][c] = sofar;
                        else
                            result[b][narrow ? 0 : done_column][c] = sofar;
                        if (tap == CONFIG_T::kernel_height - 1)
                            out[c] = sofar;
                    }
                    if (tap == CONFIG_T::kernel_height - 1)
                        window_done = true;
                }
            }
            if (window_done)
                res.write(out);
        }

        if (x == CONFIG_T::in_width - 1) {
            x = column = column_phase = 0;
            if (row_phase == CONFIG_T::stride_height - 1) {
                row_phase = 0;
                row++;
                bank = bank == high - 1 ? 0 : bank + 1;
            } else {
                row_phase++;
            }
        } else {
            x++;
            if (column_phase == CONFIG_T::stride_width - 1) {
                column_phase = 0;
                column++;
            } else {
                column_phase++;
            }
        }
    }
}

template <class REDUCE_T, class data_T, class res_T, class CONFIG_T>
void pool(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::channels],
          res_T res[CONFIG_T::out_height * CONFIG_T::out_width * CONFIG_T::channels]) {
    #pragma HLS INLINE
Rows:
    for (unsigned i = 0; i < CONFIG_T::out_height; i++) {
    Columns:
        for (unsigned j = 0; j < CONFIG_T::out_width; j++) {
        Channels:
            for (unsigned c = 0; c < CONFIG_T::channels; c++) {
                #pragma HLS PIPELINE II=1
                res_T sofar = 0;
            Taps:
                for (unsigned tap = 0; tap < CONFIG_T::kernel_height * CONFIG_T::kernel_width; tap++) {
                    #pragma HLS UNROLL
                    const unsigned row = i * CONFIG_T::stride_height + tap / CONFIG_T::kernel_width;
                    const unsigned column = j * CONFIG_T::stride_width + tap % CONFIG_T::kernel_width;
                    const res_T next = data[(row * CONFIG_T::in_width + column) * CONFIG_T::channels + c];
                    sofar = tap == 0 ? next : REDUCE_T::apply(sofar, next);
                }
                res[(i * CONFIG_T::out_width + j) * CONFIG_T::channels + c] = sofar;
            }
        }
    }
}

} // namespace codesign

#endif
