// Readers of data files: every format as it should be, and every way in which a file can be wrong.
#include "tests/support/data_files.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "host/data/cifar_file.hpp"
#include "host/data/idx_file.hpp"
#include "host/data/npy_file.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::data {
namespace {

TEST_F(DataFiles, IdxReadsEveryElementTypePlainAndCompressed) {
  const std::vector<std::pair<int, std::function<std::string(double)>>> types{
      {0x08, [](double v) { return number(static_cast<std::uint8_t>(v), 1, true); }},
      {0x09, [](double v) { return number(bits_of(static_cast<std::int8_t>(v)), 1, true); }},
      {0x0B, [](double v) { return number(bits_of(static_cast<std::int16_t>(v)), 2, true); }},
      {0x0C, [](double v) { return number(bits_of(static_cast<std::int32_t>(v)), 4, true); }},
      {0x0D, [](double v) { return number(bits_of(static_cast<float>(v)), 4, true); }},
      {0x0E, [](double v) { return number(bits_of(v), 8, true); }}};
  for (const auto& [code, encode] : types) {
    std::vector<double> values{0, 1, 2, 3, 100, 127, 7, 8, 9, 10, 11, 12};
    if (code != 0x08) values[3] = -3;
    std::string bytes = idx_header(code, {2, 3, 2});
    for (const double value : values) bytes += encode(value);
    const ArrayFile plain = read_idx(write("a", bytes)), compressed = read_idx(write("a.gz", gzipped(bytes)));
    EXPECT_EQ(plain.shape, (std::vector<Index>{2, 3, 2})) << code;
    EXPECT_EQ(all_of(plain), values) << code;
    EXPECT_EQ(all_of(compressed), values) << code;
  }
}

TEST_F(DataFiles, GzipMembersFollowEachOther) {
  const std::string bytes = idx_header(0x08, {4}) + "abcd";
  EXPECT_EQ(all_of(read_idx(write("two.gz", gzipped(bytes.substr(0, 9)) + gzipped(bytes.substr(9))))),
            (std::vector<double>{97, 98, 99, 100}));
}

TEST_F(DataFiles, IdxNamesWhatIsWrong) {
  const std::string good = idx_header(0x08, {2, 2}) + "abcd";
  const std::vector<std::pair<std::string, std::string>> faults{
      {"truncated", good.substr(0, 11)},
      {"truncated", good.substr(0, 9)},
      {"truncated", good.substr(0, 3)},
      {"truncated", ""},
      {"left over", good + "e"},
      {"not an IDX file", "PK\x03\x04 something else"},
      {"not an IDX file", idx_header(0x0A, {2, 2}) + "abcd"},
      {"not an IDX file", idx_header(0x08, {})},
      {"at least 1", idx_header(0x08, {0, 2})},
      {"header is wrong", idx_header(0x08, {4000000000u, 28, 28}) + "abcd"},
      {"more than any file can hold", idx_header(0x0E, {4000000000u, 4000000000u, 4000000000u})},
      {"truncated", gzipped(good).substr(0, 20)},
      {"truncated", gzipped(good).substr(0, gzipped(good).size() - 1)},
      {"damaged gzip", gzipped(good) + "rubbish"},
      {"left over", gzipped(good) + gzipped("more")},
      {"header is wrong", gzipped(idx_header(0x08, {4000000000u, 28, 28}) + "abcd")},
  };
  for (const auto& [part, bytes] : faults) {
    const std::string path = write("faulty", bytes);
    const std::string message = message_of([&] { read_idx(path); });
    EXPECT_TRUE(mentions(message, part)) << part << ": " << message;
    EXPECT_TRUE(mentions(message, path)) << message;
  }
  EXPECT_TRUE(mentions(message_of([&] { read_idx((folder_ / "absent").string()); }), "no such file"));
  EXPECT_TRUE(mentions(message_of([&] { read_idx(folder_.string()); }), "found a folder"));
}

TEST_F(DataFiles, NpyReadsTypesOrdersAndVersions) {
  const std::vector<double> values{1, 2, 3, 4, 5, 100};
  const std::vector<std::pair<std::string, std::function<std::uint64_t(double)>>> types{
      {"u1", [](double v) { return static_cast<std::uint64_t>(v); }},
      {"i2", [](double v) { return static_cast<std::uint64_t>(v); }},
      {"u4", [](double v) { return static_cast<std::uint64_t>(v); }},
      {"i8", [](double v) { return static_cast<std::uint64_t>(v); }},
      {"f4", [](double v) { return bits_of(static_cast<float>(v)); }},
      {"f8", [](double v) { return bits_of(v); }}};
  for (const auto& [code, encode] : types)
    for (const char order : {'<', '>'})
      for (const int version : {1, 2, 3}) {
        std::string payload;
        for (const double value : values) payload += number(encode(value), code[1] - '0', order == '>');
        const std::string header = npy_header(order + code, "(2, 3)");
        const std::string bytes = npy_with_header(header, payload, version);
        EXPECT_EQ(all_of(read_npy(write("a.npy", bytes))), values) << order << code << version;
        EXPECT_EQ(all_of(read_npy(write("a.npy.gz", gzipped(bytes)))), values) << order << code << version;
      }
}

TEST_F(DataFiles, NpyReadsSignedHalfAndBooleanElements) {
  EXPECT_EQ(all_of(read_npy(write("i", npy_with_header(npy_header("|i1", "(2,)"), "\xFF\x80")))),
            (std::vector<double>{-1, -128}));
  EXPECT_EQ(all_of(read_npy(write("b", npy_with_header(npy_header("|b1", "(2,)"), std::string("\x01\x00", 2))))),
            (std::vector<double>{1, 0}));
  // 1, -2, 65504 (largest), 2^-24 (smallest), as in IEEE 754 binary16.
  std::string halves;
  for (const std::uint64_t bits : {0x3C00, 0xC000, 0x7BFF, 0x0001}) halves += number(bits, 2, false);
  EXPECT_EQ(all_of(read_npy(write("h", npy_with_header(npy_header("<f2", "(4,)"), halves)))),
            (std::vector<double>{1, -2, 65504, std::ldexp(1.0, -24)}));
}

TEST_F(DataFiles, NpyFortranOrderGivesTheSameArrayAsCOrder) {
  const Index n0 = 2, n1 = 3, n2 = 4;
  std::string fortran, c_order;
  for (Index k = 0; k < n2; ++k)
    for (Index j = 0; j < n1; ++j)
      for (Index i = 0; i < n0; ++i) fortran += static_cast<char>(100 * i + 10 * j + k);
  for (Index i = 0; i < n0; ++i)
    for (Index j = 0; j < n1; ++j)
      for (Index k = 0; k < n2; ++k) c_order += static_cast<char>(100 * i + 10 * j + k);
  const ArrayFile one = read_npy(write("f.npy", npy_with_header(npy_header("|u1", "(2, 3, 4)", true), fortran)));
  const ArrayFile two = read_npy(write("c.npy", npy_with_header(npy_header("|u1", "(2, 3, 4)"), c_order)));
  EXPECT_EQ(all_of(one), all_of(two));
  EXPECT_EQ(one.columns(), 12);
}

TEST_F(DataFiles, NpyWriterIsReadBackToTheBit) {
  const std::vector<double> values{0.1, -0.0, 1e-310, 1e308, 3.0, std::acos(-1.0)};
  const std::string path = (folder_ / "w.npy").string();
  for (const std::vector<Index>& shape : std::vector<std::vector<Index>>{{6}, {2, 3}, {1, 2, 3}}) {
    write_npy(path, shape, values);
    const ArrayFile array = read_npy(path);
    EXPECT_EQ(array.shape, shape);
    EXPECT_EQ(std::memcmp(all_of(array).data(), values.data(), sizeof(double) * 6), 0);
  }
  EXPECT_THROW(write_npy((folder_ / "no" / "such" / "folder.npy").string(), {6}, values), OutputError);
}

TEST_F(DataFiles, NpyNamesWhatIsWrong) {
  const std::string good_header = npy_header("<f4", "(2,)"), payload(8, '\0');
  const std::string good = npy_with_header(good_header, payload);
  const auto with_header = [&](const std::string& header) { return npy_with_header(header, payload); };
  const std::vector<std::pair<std::string, std::string>> faults{
      {"truncated", good.substr(0, good.size() - 1)},
      {"truncated", good.substr(0, 30)},
      {"left over", good + "x"},
      {"not a .npy file", "PK\x03\x04 a npz archive"},
      {"version 4", npy_with_header(good_header, payload, 4)},
      {"not read", with_header(npy_header("|O", "(2,)"))},
      {"not read", with_header(npy_header("<c8", "(1,)"))},
      {"not read", with_header(npy_header("f4", "(2,)"))},
      {"quoted word", with_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}")},
      {"single number", with_header(npy_header("<f8", "()"))},
      {"at least 1", with_header(npy_header("<f4", "(2, 0)"))},
      {"at least 1", with_header(npy_header("<f4", "(-2,)"))},
      {"expected ')'", with_header(npy_header("<f4", "(2.5,)"))},
      {"not an integer", with_header(npy_header("<f4", "(two,)"))},
      {"not an integer", with_header(npy_header("<f4", "(99999999999999999999999,)"))},
      {"header is wrong", with_header(npy_header("<f4", "(1000000000, 1000)"))},
      {"more than any", with_header(npy_header("<f4", "(4000000000000000000, 4)"))},
      {"missing", with_header("{'descr': '<f4', 'shape': (2,)}")},
      {"repeated key", with_header("{'descr': '<f4', 'descr': '<f4', 'shape': (2,)}")},
      {"not closed", with_header("{'descr")},
      {"True or False", with_header("{'descr': '<f4', 'fortran_order': 1, 'shape': (2,)}")},
      {"after the closing", with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} 1")},
      {"claims", std::string("\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF", 12) + good_header},
  };
  for (const auto& [part, bytes] : faults) {
    const std::string path = write("faulty.npy", bytes);
    const std::string message = message_of([&] { read_npy(path); });
    EXPECT_TRUE(mentions(message, part)) << part << ": " << message;
    EXPECT_TRUE(mentions(message, path)) << message;
  }
}

TEST_F(DataFiles, CifarNamesWhatIsWrong) {
  const std::string good = cifar_batch(CifarKind::cifar10, 2, 0);
  std::string bad_label = good;
  bad_label[3073] = 10;
  const std::vector<std::pair<std::string, std::string>> faults{
      {"truncated: record 1", good.substr(0, 5000)}, {"is empty", ""}, {"label 10", bad_label}};
  for (const auto& [part, bytes] : faults) {
    const std::string path = write("faulty.bin", bytes);
    EXPECT_TRUE(mentions(message_of([&] { read_cifar(CifarKind::cifar10, {path}); }), part)) << part;
    EXPECT_TRUE(mentions(message_of([&] { read_cifar(CifarKind::cifar10, {path}); }), path)) << part;
  }
  // CIFAR-10 read as CIFAR-100: the record length or a label gives it away.
  EXPECT_THROW(read_cifar(CifarKind::cifar100, {write("ten.bin", good)}), DataError);
}

// Truncated at every length up to 200 and at random ones, and with random bytes flipped: DataError or success, and
// nothing else. Flips in a gzip file are caught by its checksum, up to those in fields that carry no data.
TEST_F(DataFiles, DamagedFilesNeverCrashAReader) {
  const std::string idx = idx_header(0x0B, {5, 7}) + std::string(70, 'q');
  const std::string npy = npy_with_header(npy_header(">i4", "(3, 5)", true), std::string(60, 'r'), 2);
  const std::string cifar = cifar_batch(CifarKind::cifar100, 2, 5);
  using Reader = std::function<void(const std::string&)>;
  const Reader read_cifar100 = [](const std::string& path) { read_cifar(CifarKind::cifar100, {path}); };
  const Reader read_all_idx = [](const std::string& path) { all_of(read_idx(path)); };
  const Reader read_all_npy = [](const std::string& path) { all_of(read_npy(path)); };
  const std::vector<std::pair<std::string, Reader>> files{
      {idx, read_all_idx}, {gzipped(idx), read_all_idx}, {npy, read_all_npy}, {gzipped(npy), read_all_npy},
      {cifar, read_cifar100}, {gzipped(cifar), read_cifar100}};
  std::mt19937_64 random(20240601);
  for (const auto& [bytes, read] : files) {
    const auto survives = [&](const std::string& damaged, bool must_fail) {
      const std::string path = write("damaged", damaged);
      try {
        read(path);
        EXPECT_FALSE(must_fail) << damaged.size() << " of " << bytes.size() << " bytes were read as a whole file";
      } catch (const DataError&) {
      }
    };
    ASSERT_NO_THROW(read(write("whole", bytes)));
    const std::size_t record = 3074;  // a whole number of CIFAR records is a valid file
    for (std::size_t length = 0; length < std::min<std::size_t>(bytes.size(), 200); ++length)
      survives(bytes.substr(0, length), true);
    for (int trial = 0; trial < 100; ++trial) {
      const std::size_t length = random() % bytes.size();
      survives(bytes.substr(0, length), length == 0 || length % record != 0);
    }
    for (int trial = 0; trial < 700; ++trial) {
      std::string damaged = bytes;
      const std::size_t range = trial % 2 == 0 ? std::min<std::size_t>(bytes.size(), 100) : bytes.size();
      for (int flips = 0; flips <= trial % 3; ++flips)
        damaged[random() % range] ^= static_cast<char>(1 + random() % 255);
      survives(damaged, false);
    }
  }
}

}  // namespace
}  // namespace widelab::data
