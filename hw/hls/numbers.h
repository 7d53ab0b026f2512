// Number formats of constant tables.
//
// Tables of weights, biases and thresholds hold plain integer literals. Synthesis stores each entry in
// exactly BITS bits, so that a multiplier by a table entry is no wider than it must be. C simulation
// stores the same literals in the next wider C++ integer, because a constructor call per entry would make
// the compiler slow. Both give the same values.
//
// stored<BITS, SIGNED>::type  entry type of a constant table, 1 to 64 bits
// number<BITS, SIGNED>::type  ap_int<BITS> or ap_uint<BITS>: the type arithmetic is done in

#ifndef CODESIGN_NUMBERS_H_
#define CODESIGN_NUMBERS_H_

#include "ap_int.h"

namespace codesign {

template <int BITS, bool SIGNED> struct number {
    typedef ap_int<BITS> type;
};
template <int BITS> struct number<BITS, false> {
    typedef ap_uint<BITS> type;
};

#ifdef __SYNTHESIS__
template <int BITS, bool SIGNED> struct stored {
    typedef typename number<BITS, SIGNED>::type type;
};
#else
template <int BYTES, bool SIGNED> struct c_integer;
template <> struct c_integer<1, true> { typedef signed char type; };
template <> struct c_integer<2, true> { typedef short type; };
template <> struct c_integer<4, true> { typedef int type; };
template <> struct c_integer<8, true> { typedef long long type; };
template <> struct c_integer<1, false> { typedef unsigned char type; };
template <> struct c_integer<2, false> { typedef unsigned short type; };
template <> struct c_integer<4, false> { typedef unsigned int type; };
template <> struct c_integer<8, false> { typedef unsigned long long type; };

template <int BITS, bool SIGNED> struct stored {
    typedef typename c_integer<(BITS <= 8 ? 1 : BITS <= 16 ? 2 : BITS <= 32 ? 4 : 8), SIGNED>::type type;
};
#endif

} // namespace codesign

#endif
