// Package hal holds the seams between this module and the world.
//
// On the platform's side everything that lets devices in (the MQTT front door
// hal/mqttd, somebody else's broker, HTTP, CoAP, an in-memory pipe) is a
// listener: it calls an Access for every connection and gives the platform a
// Link to it. Package hub implements Access; whoever owns a broker writes the
// other half. hal/haltest is the contract both keep.
//
// On the device's side Transport reaches a platform, and Net, Clock, Slot and
// Identities stand for what a board may have to provide itself. A nil seam
// means the operating system. haltest.TestDevice is what a port passes.
//
// Interfaces here have one to three methods and never grow: a further ability
// is a further interface, found by type assertion.
//
// # Porting from the C SDK
//
// Who ported Alibaba's C SDK wrote the functions of its hardware abstraction layer
// (wire facts section 25). What stands for each of the 32 of version 2:
//
//	HAL_Malloc, HAL_Free              the language: memory is managed
//	HAL_MutexCreate, HAL_MutexDestroy,
//	HAL_MutexLock, HAL_MutexUnlock    package sync
//	HAL_Printf                        device.Config.Logger
//	HAL_Snprintf, HAL_Vsnprintf       package fmt
//	HAL_SleepMs, HAL_UptimeMs         package time, whose monotonic clock is the runtime's
//	HAL_Random, HAL_Srandom           device.Config.Random; there is no seed, as it is not
//	                                  to be guessed
//	HAL_GetPartnerID, HAL_GetModuleID Identity.PartnerID and ModuleID
//	HAL_TCP_Establish, HAL_TCP_Destroy,
//	HAL_TCP_Read, HAL_TCP_Write       Net with network "tcp", and the net.Conn it returns
//	HAL_UDP_create, HAL_UDP_close, HAL_UDP_read,
//	HAL_UDP_readTimeout, HAL_UDP_write  Net with network "udp", and the net.Conn it returns:
//	                                  a deadline in place of a time-out
//	HAL_SSL_Establish, HAL_SSL_Destroy,
//	HAL_SSL_Read, HAL_SSL_Write       crypto/tls over Net; the transports' field TLS holds
//	                                  certificates. A secure element is a crypto.Signer there
//	HAL_DTLSSession_create, HAL_DTLSSession_free,
//	HAL_DTLSSession_read, HAL_DTLSSession_write  hal/coap over Net
//
// And for each of the 21 of version 1.0.1:
//
//	aliot_platform_malloc, _free                the language
//	aliot_platform_mutex_create, _mutex_destroy,
//	_mutex_lock, _mutex_unlock                  package sync
//	aliot_platform_printf                       device.Config.Logger
//	aliot_platform_msleep, _time_get_ms         package time; the time of day is Clock
//	aliot_platform_module_get_pid               Identity.PartnerID
//	aliot_platform_ota_start, _ota_write,
//	al_platform_ota_finalize                    FirmwareSlot: Spare, then WriteAt, then
//	                                            Sync and Mark
//	aliot_platform_tcp_establish, _tcp_destroy,
//	_tcp_read, _tcp_write                       Net
//	aliot_platform_ssl_establish, _ssl_destroy,
//	_ssl_read, _ssl_write                       crypto/tls over Net
//
// What the C layer does not have and a board may want to bring: Clock, where the
// time of day does not survive a power cut, and Slot, which keeps what a device that
// registers itself was given.
package hal
