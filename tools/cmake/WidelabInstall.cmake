# `cmake --install` puts the command, the libraries and the headers in place and exports widelab::widelab.
include(CMakePackageConfigHelpers)
get_property(targets GLOBAL PROPERTY WIDELAB_TARGETS)
add_library(widelab INTERFACE)
target_link_libraries(widelab INTERFACE ${targets})
add_library(widelab::widelab ALIAS widelab)
set_property(GLOBAL APPEND PROPERTY WIDELAB_TARGETS widelab)

install(TARGETS widelab ${targets} widelab_blas widelab_netcdf EXPORT widelabTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/widelab)
install(TARGETS widelab_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/widelab DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY host/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/widelab-host/host FILES_MATCHING PATTERN "*.hpp")
install(DIRECTORY tools/plotting/ DESTINATION ${CMAKE_INSTALL_DATADIR}/widelab/plotting FILES_MATCHING PATTERN "*.py")
install(FILES tools/replay_torch.py DESTINATION ${CMAKE_INSTALL_DATADIR}/widelab)
install(DIRECTORY tools/recipes/ DESTINATION ${CMAKE_INSTALL_DATADIR}/widelab/recipes FILES_MATCHING PATTERN "*.toml")
install(EXPORT widelabTargets NAMESPACE widelab:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/widelab)
configure_package_config_file(${PROJECT_SOURCE_DIR}/tools/cmake/widelabConfig.cmake.in
  ${PROJECT_BINARY_DIR}/widelabConfig.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/widelab)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/widelabConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/widelabConfig.cmake ${PROJECT_BINARY_DIR}/widelabConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/widelab)
