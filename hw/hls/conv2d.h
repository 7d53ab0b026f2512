// Two-dimensional convolution on integers with zero padding, any stride and groups (depthwise included).
//
//   res[i][j][o] = bias[o] + sum over u, v, c of data[i*stride_height + u - top][j*stride_width + v - left][c]
//                                              * weight[u][v][c][o]
//
// Stream version
//   Ports    data: one pack of in_channels per pixel, row by row. res: one pack of out_channels per pixel.
//   Buffers  kernel_height - 1 lines of the padded frame in memories, the window in registers.
//   Loop     one, over cycles: a padded pixel takes one cycle, and steps cycles where it completes a window
//            at a stride position, because each cycle makes PE outputs from SIMD inputs (see mac.h).
//   Latency  in_height_padded * in_width_padded + out_height * out_width * (steps - 1) cycles, II = 1
//
// Array version
//   Ports    data[in_height][in_width][in_channels], res[out_height][out_width][out_channels], flat
//   Loops    output rows, output columns, steps. Where the top is pipelined all are unrolled; otherwise
//            out_height * out_width * steps cycles, II = 1.
//
// CONFIG_T, besides what mac.h needs (n_in = kernel_height * kernel_width * in_channels / groups):
//   in_height, in_width, in_channels, out_height, out_width, out_channels
//   kernel_height, kernel_width, stride_height, stride_width, top, bottom, left, right

#ifndef CODESIGN_CONV2D_H_
#define CODESIGN_CONV2D_H_

#include "hls_stream.h"
#include "mac.h"

namespace codesign {

template <class data_T, class res_T, class CONFIG_T>
void conv2d(hls::stream<data_T> &data, hls::stream<res_T> &res,
            const typename CONFIG_T::weight_store_t weights[CONFIG_T::steps][CONFIG_T::lanes],
            const typename CONFIG_T::bias_store_t bias[CONFIG_T::n_out]) {
    typedef typename data_T::value_type x_t;
    const unsigned taps_high = CONFIG_T::kernel_height;
    const unsigned taps_wide = CONFIG_T::kernel_width;
    const unsigned channels = CONFIG_T::in_channels;
    const unsigned group_channels = CONFIG_T::in_channels / CONFIG_T::groups;
    const unsigned high = CONFIG_T::in_height + CONFIG_T::top + CONFIG_T::bottom;
    const unsigned wide = CONFIG_T::in_width + CONFIG_T::left + CONFIG_T::right;
    const unsigned input_folds = CONFIG_T::n_in / CONFIG_T::simd;
    const unsigned lines = taps_high > 1 ? taps_high - 1 : 1;
    const unsigned cycles = high * wide + CONFIG_T::out_height * CONFIG_T::out_width * (CONFIG_T::steps - 1);
    // A line is read and written once per pixel at the column. On a narrow frame the same column comes back
    // before a memory has stored it, so that the lines are registers there.
    const bool narrow = wide < 8;

    #pragma HLS ARRAY_PARTITION variable=weights complete dim=2
    #pragma HLS ARRAY_PARTITION variable=bias complete

    // Ordered by group, kernel row, kernel column, channel of the group: an output reads a contiguous run.
    x_t window[CONFIG_T::groups * CONFIG_T::n_in];
    #pragma HLS ARRAY_PARTITION variable=window complete
    x_t line[lines][narrow ? 1 : wide][channels];
    #pragma HLS ARRAY_PARTITION variable=line complete dim=1
    #pragma HLS ARRAY_RESHAPE variable=line complete dim=3
    #pragma HLS DEPENDENCE variable=line inter false
    x_t narrow_line[lines][narrow ? wide : 1][channels];
    #pragma HLS ARRAY_PARTITION variable=narrow_line complete dim=0
    typename running_sum<CONFIG_T>::state accumulator[CONFIG_T::pe];
    #pragma HLS ARRAY_PARTITION variable=accumulator complete
    typename CONFIG_T::accum_t result[CONFIG_T::n_out];
    #pragma HLS ARRAY_PARTITION variable=result complete

    unsigned row = 0, column = 0;             // of the padded pixel that entered last
    unsigned row_left = taps_high - 1;        // rows until the next window row
    unsigned column_left = taps_wide - 1;     // columns until the next window column
    unsigned output_fold = 0, input_fold = 0; // of the step

Cycles:
    for (unsigned cycle = 0; cycle < cycles; cycle++) {
        #pragma HLS PIPELINE II=1 style=flp
        if (output_fold == 0 && input_fold == 0) {
            data_T pixel;
            const bool inside = row >= CONFIG_T::top && row < CONFIG_T::top + CONFIG_T::in_height &&
                                column >= CONFIG_T::left && column < CONFIG_T::left + CONFIG_T::in_width;
            if (inside) {
                pixel = data.read();
            } else {
            Padding:
                for (unsigned c = 0; c < channels; c++) {
                    #pragma HLS UNROLL
                    pixel[c] = 0;
                }
            }
        Groups:
            for (unsigned g = 0; g < CONFIG_T::groups; g++) {
                #pragma HLS UNROLL
            Rows:
                for (unsigned u = 0; u < taps_high; u++) {
                    #pragma HLS UNROLL
                    const unsigned first = g * CONFIG_T::n_in + u * taps_wide * group_channels;
                    const unsigned last = first + (taps_wide - 1) * group_channels;
                Shift:
                    for (unsigned i = first; i < last; i++) {
                        #pragma HLS UNROLL
                        window[i] = window[i + group_channels];
                    }
                Enter:
                    for (unsigned c = 0; c < group_channels; c++) {
                        #pragma HLS UNROLL
                        const unsigned channel = g * group_channels + c;
                        x_t entering;
                        if (u == taps_high - 1)
                            entering = pixel[channel];
                        else
                            entering = narrow ? narrow_line[u][narrow ? column : 0][channel]
                                              : line[u][narrow ? 0 : column][channel];
                        window[last + c] = entering;
                        // Line u keeps the row above line u + 1; the lowest keeps the row that enters.
                        if (u > 0) {
                            if (narrow)
                                narrow_line[u - 1][narrow ? column : 0][channel] = entering;
                            else
                                line[u - 1][narrow ? 0 : column][channel] = entering;
                        }
                    }
                }
            }
        }

        bool next_pixel = true;
        if (row_left == 0 && column_left == 0) {
            multiply_accumulate<x_t, CONFIG_T>(window, weights, bias, output_fold, input_fold, accumulator);
            if (input_fold == input_folds - 1) {
            Collect:
                for (unsigned p = 0; p < CONFIG_T::pe; p++) {
                    #pragma HLS UNROLL
                    const unsigned output = output_fold * CONFIG_T::pe + p;
                    result[output] = running_sum<CONFIG_T>::finish(accumulator[p], bias[output]);
                }
                input_fold = 0;
                if (output_fold == CONFIG_T::n_out / CONFIG_T::pe - 1) {
                    res_T out;
                Pack:
                    for (unsigned o = 0; o < CONFIG_T::n_out; o++) {
                        #pragma HLS UNROLL
                        out[o] = result[o];
                    }
                    res.write(out);
                    output_fold = 0;
                } else {
                    output_fold++;
                    next_pixel = false;
                }
            } else {
                input_fold++;
                next_pixel = false;
            }
        }
        if (next_pixel) {
            if (column == wide - 1) {
                column = 0;
                column_left = taps_wide - 1;
                row++;
                row_left = row_left == 0 ? CONFIG_T::stride_height - 1 : row_left - 1;
            } else {
                column++;
                column_left = column_left == 0 ? CONFIG_T::stride_width - 1 : column_left - 1;
            }
        }
    }
}

template <class data_T, class res_T, class CONFIG_T>
void conv2d(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::in_channels],
            res_T res[CONFIG_T::out_height * CONFIG_T::out_width * CONFIG_T::out_channels],
            const typename CONFIG_T::weight_store_t weights[CONFIG_T::steps][CONFIG_T::lanes],
            const typename CONFIG_T::bias_store_t bias[CONFIG_T::n_out]) {
    const unsigned group_channels = CONFIG_T::in_channels / CONFIG_T::groups;
    const unsigned input_folds = CONFIG_T::n_in / CONFIG_T::simd;
    const int in_height = CONFIG_T::in_height, in_width = CONFIG_T::in_width;

    #pragma HLS ARRAY_PARTITION variable=weights complete dim=2
    #pragma HLS ARRAY_PARTITION variable=bias complete
    data_T window[CONFIG_T::groups * CONFIG_T::n_in];
    #pragma HLS ARRAY_PARTITION variable=window complete
    typename running_sum<CONFIG_T>::state accumulator[CONFIG_T::pe];
    #pragma HLS ARRAY_PARTITION variable=accumulator complete

Rows:
    for (unsigned i = 0; i < CONFIG_T::out_height; i++) {
    Columns:
        for (unsigned j = 0; j < CONFIG_T::out_width; j++) {
        Steps:
            for (unsigned step = 0; step < CONFIG_T::steps; step++) {
                #pragma HLS PIPELINE II=1
                if (step == 0) {
                Taps:
                    for (unsigned tap = 0; tap < CONFIG_T::kernel_height * CONFIG_T::kernel_width; tap++) {
                        #pragma HLS UNROLL
                        const int row = int(i * CONFIG_T::stride_height + tap / CONFIG_T::kernel_width) -
                                        int(CONFIG_T::top);
                        const int column = int(j * CONFIG_T::stride_width + tap % CONFIG_T::kernel_width) -
                                           int(CONFIG_T::left);
                        const bool inside = row >= 0 && row < in_height && column >= 0 && column < in_width;
                    Channels:
                        for (unsigned c = 0; c < CONFIG_T::in_channels; c++) {
                            #pragma HLS UNROLL
                            const unsigned place = (c / group_channels) * CONFIG_T::n_in + tap * group_channels +
                                                   c % group_channels;
                            if (inside)
                                window[place] = data[(row * in_width + column) * CONFIG_T::in_channels + c];
                            else
                                window[place] = 0;
                        }
                    }
                }
                const unsigned output_fold = step / input_folds, input_fold = step % input_folds;
                multiply_accumulate<data_T, CONFIG_T>(window, weights, bias, output_fold, input_fold, accumulator);
                if (input_fold == input_folds - 1) {
                Collect:
                    for (unsigned p = 0; p < CONFIG_T::pe; p++) {
                        #pragma HLS UNROLL
                        const unsigned output = output_fold * CONFIG_T::pe + p;
                        res[(i * CONFIG_T::out_width + j) * CONFIG_T::n_out + output] =
                            running_sum<CONFIG_T>::finish(accumulator[p], bias[output]);
                    }
                }
            }
        }
    }
}

} // namespace codesign

#endif
